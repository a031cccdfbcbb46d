// codec encode|decode hex|base64: the standard input to the standard output.
#include "codec.h"

#include <string.h>

int main(int argc, char **argv)
{
    strbuf in, out;
    int hex, decode, bad = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: codec encode|decode hex|base64 < IN > OUT\n");
        return 2;
    }
    decode = strcmp(argv[1], "decode") == 0;
    hex = strcmp(argv[2], "hex") == 0;
    strbuf_init(&in);
    strbuf_init(&out);
    if (strbuf_read(&in, stdin) != 0) {
        fprintf(stderr, "codec: cannot read\n");
        return 1;
    }
    if (!decode) {
        (hex ? hex_encode : base64_encode)(&out, in.data, in.size);
        strbuf_char(&out, '\n');
    } else {
        while (in.size > 0 && in.data[in.size - 1] == '\n')
            in.size--;
        bad = (hex ? hex_decode : base64_decode)(&out, in.data, in.size);
    }
    if (bad) {
        fprintf(stderr, "codec: this is not %s\n", argv[2]);
        return 1;
    }
    return fwrite(out.data, 1, out.size, stdout) == out.size ? 0 : 1;
}
