// words COUNT [FILE...]: the most frequent words, and how often each comes.
#include "strbuf.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

static int letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The more frequent first, then by name, so that the order is the same everywhere.
static int order(const void *left, const void *right)
{
    const table_entry *a = left, *b = right;

    return a->value != b->value ? (a->value < b->value ? 1 : -1) : strcmp(a->key, b->key);
}

int main(int argc, char **argv)
{
    size_t most = argc > 1 ? strtoul(argv[1], NULL, 10) : 10, at, start;
    strbuf in;
    table words;
    int i;

    strbuf_init(&in);
    table_init(&words);
    for (i = 2; i < argc; i++) {
        strbuf_clear(&in);
        if (strbuf_read_file(&in, argv[i]) != 0) {
            fprintf(stderr, "words: cannot read %s\n", argv[i]);
            return 1;
        }
        for (at = 0; at < in.size; at++) {
            for (start = at; at < in.size && letter(in.data[at]); at++)
                in.data[at] |= 0x20;
            if (at > start)
                ++*table_at(&words, in.data + start, at - start);
        }
    }
    qsort(words.entries, words.count, sizeof *words.entries, order);
    for (at = 0; at < words.count && at < most; at++)
        printf("%6ld %s\n", words.entries[at].value, words.entries[at].key);
    return 0;
}
