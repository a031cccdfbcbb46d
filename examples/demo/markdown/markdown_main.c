// markdown TITLE [FILE...]: one HTML page of all files.
#include "markdown.h"

int main(int argc, char **argv)
{
    strbuf in, out;
    int i;

    if (argc < 2) {
        fprintf(stderr, "usage: markdown TITLE [FILE...]\n");
        return 2;
    }
    strbuf_init(&in);
    strbuf_init(&out);
    strbuf_format(&out, "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>%s</title></head>\n<body>\n", argv[1]);
    for (i = 2; i < argc; i++) {
        strbuf_clear(&in);
        if (strbuf_read_file(&in, argv[i]) != 0) {
            fprintf(stderr, "markdown: cannot read %s\n", argv[i]);
            return 1;
        }
        markdown_to_html(&out, in.data, in.size);
    }
    strbuf_str(&out, "</body>\n</html>\n");
    return fwrite(out.data, 1, out.size, stdout) == out.size ? 0 : 1;
}
