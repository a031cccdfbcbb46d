#include "check.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    table t;
    char key[32];
    long i, wrong = 0;

    check_begin("table");
    table_init(&t);
    CHECK(table_find(&t, "a", 1) == NULL);
    *table_at(&t, "a", 1) = 7;
    *table_at(&t, "", 0) = 8;
    *table_at(&t, "a\0b", 3) = 9;
    CHECK_INT(7, *table_find(&t, "abc", 1));
    CHECK_INT(8, *table_find(&t, "", 0));
    CHECK_INT(9, *table_find(&t, "a\0b", 3));
    CHECK(table_find(&t, "b", 1) == NULL);
    for (i = 0; i < 300000; i++) {
        int size = sprintf(key, "key %ld", i);
        *table_at(&t, key, (size_t)size) += i * i;
    }
    CHECK_INT(300003, t.count);
    for (i = 0; i < 300000; i++) {
        int size = sprintf(key, "key %ld", i);
        const long *value = table_find(&t, key, (size_t)size);
        wrong += value == NULL || *value != i * i;
    }
    CHECK_INT(0, wrong);
    CHECK_STR("key 99", t.entries[102].key);
    table_free(&t);
    CHECK_INT(0, t.count);
    return check_end();
}
