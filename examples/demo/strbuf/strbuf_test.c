#include "check.h"
#include "strbuf.h"

#include <string.h>

int main(void)
{
    strbuf b, c;
    FILE *file;
    int i;

    check_begin("strbuf");
    strbuf_init(&b);
    CHECK_STR("", b.data);
    strbuf_str(&b, "one");
    strbuf_char(&b, ',');
    strbuf_format(&b, " %d and %s", 2, "three");
    CHECK_STR("one, 2 and three", b.data);
    CHECK_INT(16, b.size);
    strbuf_clear(&b);
    CHECK_STR("", b.data);
    strbuf_bytes(&b, "a\0b", 3);
    CHECK_INT(3, b.size);
    CHECK_MEM("a\0b", b.data, 4);

    strbuf_clear(&b);
    for (i = 0; i < 200000; i++)
        strbuf_format(&b, "%d\n", i);
    CHECK_INT(1288890, b.size);
    CHECK_STR("199999\n", b.data + b.size - 7);
    file = fopen("strbuf.tmp", "wb");
    CHECK(file != NULL);
    if (file != NULL) {
        fwrite(b.data, 1, b.size, file);
        fclose(file);
    }
    strbuf_init(&c);
    CHECK_INT(0, strbuf_read_file(&c, "strbuf.tmp"));
    CHECK_INT(b.size, c.size);
    CHECK_MEM(b.data, c.data, c.size);
    CHECK_INT(-1, strbuf_read_file(&c, "no such file"));
    strbuf_free(&c);
    strbuf_free(&b);
    CHECK_STR("", b.data);
    return check_end();
}
