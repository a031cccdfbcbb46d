#include "check.h"

#include <stdio.h>
#include <string.h>

static const char *suite_name = "?";
static long checks;
static long failures;

void check_begin(const char *suite)
{
    suite_name = suite;
    checks = 0;
    failures = 0;
}

int check_end(void)
{
    if (failures == 0)
        printf("%s: all %ld checks passed\n", suite_name, checks);
    else
        printf("%s: %ld of %ld checks FAILED\n", suite_name, failures, checks);
    fflush(stdout);
    return failures == 0 ? 0 : 1;
}

static void fail(const char *text, const char *file, int line)
{
    failures++;
    printf("%s:%d: check failed: %s\n", file, line, text);
}

void check_true(int ok, const char *text, const char *file, int line)
{
    checks++;
    if (!ok)
        fail(text, file, line);
}

void check_int(long long expected, long long got, const char *text, const char *file, int line)
{
    checks++;
    if (expected != got) {
        fail(text, file, line);
        printf("    expected %lld\n         got %lld\n", expected, got);
    }
}

void check_str(const char *expected, const char *got, const char *text, const char *file, int line)
{
    checks++;
    if (got == NULL || strcmp(expected, got) != 0) {
        fail(text, file, line);
        printf("    expected \"%s\"\n         got \"%s\"\n", expected, got == NULL ? "(null)" : got);
    }
}

void check_mem(const void *expected, const void *got, unsigned long size, const char *text, const char *file, int line)
{
    const unsigned char *a = expected, *b = got;
    unsigned long at = 0;

    checks++;
    while (at < size && a[at] == b[at])
        at++;
    if (at < size) {
        fail(text, file, line);
        printf("    byte %lu of %lu: expected %02x, got %02x\n", at, size, a[at], b[at]);
    }
}
