// sort [-n] [-u] [FILE...]: lines in order, as bytes or (-n) as numbers; -u each once.
#include "strbuf.h"

#include <stdlib.h>
#include <string.h>

static int numeric;

static int order(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;

    if (numeric) {
        long x = strtol(a, NULL, 10), y = strtol(b, NULL, 10);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return strcmp(a, b);
}

int main(int argc, char **argv)
{
    strbuf in;
    char **lines, *at;
    size_t count = 0, i;
    int unique = 0, files = 0, arg;

    strbuf_init(&in);
    for (arg = 1; arg < argc; arg++) {
        if (strcmp(argv[arg], "-n") == 0)
            numeric = 1;
        else if (strcmp(argv[arg], "-u") == 0)
            unique = 1;
        else if (files++, strbuf_read_file(&in, argv[arg]) != 0) {
            fprintf(stderr, "sort: cannot read %s\n", argv[arg]);
            return 1;
        }
    }
    if (files == 0)
        strbuf_read(&in, stdin);
    if (in.size > 0 && in.data[in.size - 1] != '\n')
        strbuf_char(&in, '\n');
    for (i = 0; i < in.size; i++)
        count += in.data[i] == '\n';
    lines = calloc(count + 1, sizeof *lines);
    if (lines == NULL)
        abort();
    for (i = 0, at = in.data; i < count; i++) {
        lines[i] = at;
        at = strchr(at, '\n');
        if (at == NULL)
            break;
        *at++ = 0;
    }
    count = i;
    qsort(lines, count, sizeof *lines, order);
    for (i = 0; i < count; i++)
        if (!unique || i == 0 || strcmp(lines[i], lines[i - 1]) != 0)
            puts(lines[i]);
    return 0;
}
