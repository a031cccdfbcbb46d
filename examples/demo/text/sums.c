// sums [-c] FILE...: SHA-256 sums of files; with -c, checks the sums that FILE lists.
#include "codec.h"
#include "sha256.h"

#include <string.h>

static int sum(strbuf *hex, const char *name)
{
    strbuf in;
    uint8_t digest[32];

    strbuf_init(&in);
    if (strbuf_read_file(&in, name) != 0) {
        fprintf(stderr, "sums: cannot read %s\n", name);
        return -1;
    }
    sha256_of(in.data, in.size, digest);
    strbuf_free(&in);
    strbuf_clear(hex);
    hex_encode(hex, digest, 32);
    return 0;
}

static int check(const char *list)
{
    strbuf in, hex;
    char *line;
    int bad = 0;

    strbuf_init(&in);
    strbuf_init(&hex);
    if (strbuf_read_file(&in, list) != 0) {
        fprintf(stderr, "sums: cannot read %s\n", list);
        return 1;
    }
    for (line = strtok(in.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        int good = strlen(line) > 66 && sum(&hex, line + 66) == 0 && strncmp(hex.data, line, 64) == 0;
        printf("%s: %s\n", strlen(line) > 66 ? line + 66 : line, good ? "OK" : "FAILED");
        bad |= !good;
    }
    return bad;
}

int main(int argc, char **argv)
{
    strbuf hex;
    int i;

    if (argc == 3 && strcmp(argv[1], "-c") == 0)
        return check(argv[2]);
    strbuf_init(&hex);
    for (i = 1; i < argc; i++) {
        if (sum(&hex, argv[i]) != 0)
            return 1;
        printf("%s  %s\n", hex.data, argv[i]);
    }
    return 0;
}
