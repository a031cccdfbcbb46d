// grep [-n] PATTERN [FILE...]: the lines that match; 0 if there are any, 1 if not, 2 if something is wrong.
#include "regex.h"
#include "strbuf.h"

#include <string.h>

int main(int argc, char **argv)
{
    int numbers = argc > 1 && strcmp(argv[1], "-n") == 0, first = 1 + numbers, i, matches = 0;
    const char *error;
    arena memory;
    regex *r;
    strbuf in;

    if (argc <= first) {
        fprintf(stderr, "usage: grep [-n] PATTERN [FILE...]\n");
        return 2;
    }
    arena_init(&memory);
    r = regex_compile(&memory, argv[first], &error);
    if (r == NULL) {
        fprintf(stderr, "grep: bad pattern: %s\n", error);
        return 2;
    }
    strbuf_init(&in);
    for (i = first + 1; i < argc || i == first + 1; i++) {
        const char *name = i < argc ? argv[i] : "-", *at, *end;
        long line = 0;
        strbuf_clear(&in);
        if (strbuf_read_file(&in, name) != 0) {
            fprintf(stderr, "grep: cannot read %s\n", name);
            return 2;
        }
        end = in.data + in.size;
        for (at = in.data; at < end;) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            const char *stop = newline == NULL ? end : newline;
            size_t from, to;
            line++;
            if (regex_search(r, at, (size_t)(stop - at), &from, &to)) {
                if (numbers)
                    printf("%ld:", line);
                printf("%.*s\n", (int)(stop - at), at);
                matches++;
            }
            at = stop == end ? end : stop + 1;
        }
    }
    return matches > 0 ? 0 : 1;
}
