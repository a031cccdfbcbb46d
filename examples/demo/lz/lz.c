#include "lz.h"

#include <stdlib.h>
#include <string.h>

enum { HASH_BITS = 14, WINDOW = 65535, SHORTEST = 4, LONGEST = 127 + SHORTEST, TRIES = 32 };

static unsigned hash_of(const unsigned char *p)
{
    unsigned word = p[0] | (unsigned)p[1] << 8 | (unsigned)p[2] << 16 | (unsigned)p[3] << 24;

    return word * 2654435761u >> (32 - HASH_BITS);
}

static void literals(strbuf *out, const unsigned char *from, size_t size)
{
    while (size > 0) {
        size_t piece = size < 128 ? size : 128;
        strbuf_char(out, (int)(piece - 1));
        strbuf_bytes(out, from, piece);
        from += piece;
        size -= piece;
    }
}

void lz_compress(strbuf *out, const void *bytes, size_t size)
{
    const unsigned char *in = bytes;
    // Positions + 1, by hash, and before each position the one of the same hash.
    size_t *heads = calloc((size_t)1 << HASH_BITS, sizeof *heads);
    size_t *before = calloc(size + 1, sizeof *before);
    size_t at = 0, literal = 0;
    int i;

    if (heads == NULL || before == NULL)
        abort();
    strbuf_str(out, "LZ1");
    for (i = 0; i < 8; i++)
        strbuf_char(out, (int)((unsigned long)size >> (8 * i) & 255));
    while (at < size) {
        size_t best = 0, distance = 0, step, end;
        if (at + SHORTEST <= size) {
            size_t candidate = heads[hash_of(in + at)];
            size_t most = size - at < LONGEST ? size - at : LONGEST;
            int tries;
            for (tries = 0; candidate > 0 && tries < TRIES; tries++) {
                size_t from = candidate - 1, same = 0;
                if (at - from > WINDOW)
                    break;
                while (same < most && in[from + same] == in[at + same])
                    same++;
                if (same > best) {
                    best = same;
                    distance = at - from;
                }
                candidate = before[from];
            }
        }
        step = best >= SHORTEST ? best : 1;
        if (best >= SHORTEST) {
            literals(out, in + literal, at - literal);
            strbuf_char(out, (int)(128 + best - SHORTEST));
            strbuf_char(out, (int)(distance & 255));
            strbuf_char(out, (int)(distance >> 8));
            literal = at + best;
        }
        for (end = at + step; at < end; at++)
            if (at + SHORTEST <= size) {
                size_t *head = &heads[hash_of(in + at)];
                before[at] = *head;
                *head = at + 1;
            }
    }
    literals(out, in + literal, size - literal);
    free(before);
    free(heads);
}

int lz_decompress(strbuf *out, const void *bytes, size_t size)
{
    const unsigned char *in = bytes;
    size_t start = out->size, at = 11;
    unsigned long content = 0;
    int i;

    if (size < 11 || memcmp(in, "LZ1", 3) != 0)
        return -1;
    for (i = 7; i >= 0; i--)
        content = content << 8 | in[3 + i];
    while (at < size) {
        size_t count = in[at++];
        if (count < 128) {
            count++;
            if (size - at < count)
                return -1;
            strbuf_bytes(out, in + at, count);
            at += count;
        } else {
            size_t distance;
            count = count - 128 + SHORTEST;
            if (size - at < 2)
                return -1;
            distance = in[at] | (size_t)in[at + 1] << 8;
            at += 2;
            if (distance == 0 || distance > out->size - start)
                return -1;
            while (count-- > 0)
                strbuf_char(out, out->data[out->size - distance]);
        }
        if (out->size - start > content)
            return -1;
    }
    return out->size - start == content ? 0 : -1;
}
