// json [PATH]: reads JSON from the standard input and prints it, or the value at PATH, indented.
#include "json.h"

int main(int argc, char **argv)
{
    arena memory;
    strbuf in, out;
    const json *v;

    arena_init(&memory);
    strbuf_init(&in);
    strbuf_init(&out);
    if (strbuf_read(&in, stdin) != 0) {
        fprintf(stderr, "json: cannot read\n");
        return 1;
    }
    v = json_parse(&memory, in.data, in.size, &out);
    if (v == NULL) {
        fprintf(stderr, "json: %s\n", out.data);
        return 1;
    }
    if (argc > 1) {
        v = json_at(v, argv[1]);
        if (v == NULL) {
            fprintf(stderr, "json: nothing at %s\n", argv[1]);
            return 1;
        }
    }
    json_print(&out, v, 2);
    puts(out.data);
    return 0;
}
