// bfc FILE: compiles Brainfuck to C, on the standard output.
//
// Runs of the same instruction become one, and [-] becomes an assignment.
#include "strbuf.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const char instructions[] = "+-<>.,[]";
    strbuf raw, in;
    size_t at;
    int depth = 0;

    strbuf_init(&raw);
    strbuf_init(&in);
    if (argc != 2 || strbuf_read_file(&raw, argv[1]) != 0) {
        fprintf(stderr, "usage: bfc FILE, which can be read\n");
        return 2;
    }
    for (at = 0; at < raw.size; at++)
        if (raw.data[at] != 0 && strchr(instructions, raw.data[at]) != NULL)
            strbuf_char(&in, raw.data[at]);

    printf("#include <stdio.h>\n\nstatic unsigned char cells[1 << 16];\n\nint main(void)\n{\n");
    printf("    unsigned short p = 0;\n    int c;\n\n    (void)c;\n");
    for (at = 0; at < in.size;) {
        char c = in.data[at];
        size_t run = strspn(in.data + at, (char[]){c, 0});
        if (c == ']' && --depth < 0) {
            fprintf(stderr, "bfc: a ] without its [\n");
            return 1;
        }
        printf("%*s", 4 * (depth + 1), "");
        switch (c) {
        case '+': printf("cells[p] += %lu;\n", (unsigned long)run % 256); break;
        case '-': printf("cells[p] -= %lu;\n", (unsigned long)run % 256); break;
        case '<': printf("p -= %lu;\n", (unsigned long)run % 65536); break;
        case '>': printf("p += %lu;\n", (unsigned long)run % 65536); break;
        case '.': printf("putchar(cells[p]);\n"), run = 1; break;
        case ',': printf("if ((c = getchar()) != EOF) cells[p] = (unsigned char)c;\n"), run = 1; break;
        case '[':
            run = 1;
            if (strncmp(in.data + at, "[-]", 3) == 0) {
                printf("cells[p] = 0;\n");
                run = 3;
            } else {
                printf("while (cells[p]) {\n");
                depth++;
            }
            break;
        default: printf("}\n"), run = 1;
        }
        at += run;
    }
    if (depth != 0) {
        fprintf(stderr, "bfc: a [ without its ]\n");
        return 1;
    }
    printf("    return 0;\n}\n");
    return 0;
}
