// hexdump [FILE]: bytes in base 16 and as characters.
#include "strbuf.h"

int main(int argc, char **argv)
{
    strbuf in;
    size_t at, i;

    strbuf_init(&in);
    if (strbuf_read_file(&in, argc > 1 ? argv[1] : "-") != 0) {
        fprintf(stderr, "hexdump: cannot read\n");
        return 1;
    }
    for (at = 0; at < in.size; at += 16) {
        size_t end = at + 16 < in.size ? at + 16 : in.size;
        printf("%08lx ", (unsigned long)at);
        for (i = at; i < at + 16; i++)
            if (i < end)
                printf(" %02x", (unsigned char)in.data[i]);
            else
                printf("   ");
        printf("  |");
        for (i = at; i < end; i++)
            putchar(in.data[i] >= 32 && in.data[i] < 127 ? in.data[i] : '.');
        printf("|\n");
    }
    return 0;
}
