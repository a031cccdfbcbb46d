#include "arena.h"
#include "check.h"

#include <stdint.h>
#include <string.h>

static void fill(arena *a, int *aligned, int *zeroed)
{
    int i;

    for (i = 1; i < 20000; i++) {
        unsigned char *p = arena_alloc(a, i % 100);
        *aligned &= (uintptr_t)p % 16 == 0;
        if (i % 100 > 0) {
            *zeroed &= p[0] == 0 && p[i % 100 - 1] == 0;
            memset(p, 0xff, i % 100);
        }
    }
}

int main(void)
{
    arena a;
    char *copy;
    int round, aligned = 1, zeroed = 1;

    check_begin("arena");
    arena_init(&a);
    CHECK_INT(0, a.used);
    // Again and again, so that memory that was used before is given out as well.
    for (round = 0; round < 50; round++) {
        arena_free(&a);
        fill(&a, &aligned, &zeroed);
    }
    CHECK(aligned);
    CHECK(zeroed);
    copy = arena_copy(&a, "hello, world", 5);
    CHECK_STR("hello", copy);
    memset(arena_alloc(&a, 1000000), 1, 1000000);
    CHECK_STR("hello", copy);
    CHECK(a.used > 2000000);
    arena_free(&a);
    CHECK_INT(0, a.used);
    CHECK_STR("", arena_copy(&a, "", 0));
    arena_free(&a);
    return check_end();
}
