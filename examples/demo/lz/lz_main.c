// lz compress|decompress: the standard input to the standard output.
#include "lz.h"

#include <string.h>

int main(int argc, char **argv)
{
    strbuf in, out;

    strbuf_init(&in);
    strbuf_init(&out);
    if (argc != 2 || (strcmp(argv[1], "compress") != 0 && strcmp(argv[1], "decompress") != 0)) {
        fprintf(stderr, "usage: lz compress|decompress < IN > OUT\n");
        return 2;
    }
    if (strbuf_read(&in, stdin) != 0) {
        fprintf(stderr, "lz: cannot read\n");
        return 1;
    }
    if (argv[1][0] == 'c') {
        lz_compress(&out, in.data, in.size);
        fprintf(stderr, "lz: %lu bytes to %lu\n", (unsigned long)in.size, (unsigned long)out.size);
    } else if (lz_decompress(&out, in.data, in.size) != 0) {
        fprintf(stderr, "lz: damaged\n");
        return 1;
    }
    return fwrite(out.data, 1, out.size, stdout) == out.size ? 0 : 1;
}
