#include "markdown.h"

#include <string.h>

static void escaped(strbuf *out, char c)
{
    if (c == '<')
        strbuf_str(out, "&lt;");
    else if (c == '>')
        strbuf_str(out, "&gt;");
    else if (c == '&')
        strbuf_str(out, "&amp;");
    else
        strbuf_char(out, c);
}

// The mark that ends what the same mark began, or a null pointer.
static const char *closing(const char *at, const char *end, const char *mark, size_t size)
{
    for (; at + size <= end; at++)
        if (memcmp(at, mark, size) == 0)
            return at;
    return NULL;
}

static void inline_text(strbuf *out, const char *at, const char *end)
{
    static const struct {
        const char *mark, *tag;
    } marks[] = {{"`", "code"}, {"**", "strong"}, {"*", "em"}};

    while (at < end) {
        const char *close = NULL;
        size_t i, size = 0;
        for (i = 0; i < 3; i++) {
            size = strlen(marks[i].mark);
            if ((size_t)(end - at) > size && memcmp(at, marks[i].mark, size) == 0 && at[size] != ' ')
                close = closing(at + size, end, marks[i].mark, size);
            if (close != NULL)
                break;
        }
        if (close == NULL || close == at + size) {
            escaped(out, *at++);
            continue;
        }
        strbuf_format(out, "<%s>", marks[i].tag);
        if (i == 0)
            for (at += size; at < close; at++)
                escaped(out, *at);
        else
            inline_text(out, at + size, close);
        strbuf_format(out, "</%s>", marks[i].tag);
        at = close + size;
    }
}

enum { NOTHING, PARAGRAPH, LIST, CODE };

static void enter(strbuf *out, int *block, int next)
{
    static const char *open[] = {"", "<p>", "<ul>\n<li>", "<pre>"};
    static const char *close[] = {"", "</p>\n", "</li>\n</ul>\n", "</pre>\n"};

    if (*block == next)
        return;
    strbuf_str(out, close[*block]);
    strbuf_str(out, open[next]);
    *block = next;
}

void markdown_to_html(strbuf *out, const char *text, size_t size)
{
    const char *at = text, *end = text + size;
    int block = NOTHING;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;
        size_t level = 0;
        while (at + level < stop && at[level] == '#')
            level++;
        if (at == stop) {
            enter(out, &block, NOTHING);
        } else if (level > 0 && level <= 6 && at + level < stop && at[level] == ' ') {
            enter(out, &block, NOTHING);
            strbuf_format(out, "<h%d>", (int)level);
            inline_text(out, at + level + 1, stop);
            strbuf_format(out, "</h%d>\n", (int)level);
        } else if (stop - at > 2 && at[0] == '-' && at[1] == ' ') {
            if (block == LIST)
                strbuf_str(out, "</li>\n<li>");
            enter(out, &block, LIST);
            inline_text(out, at + 2, stop);
        } else if (stop - at > 4 && memcmp(at, "    ", 4) == 0 && block != LIST && block != PARAGRAPH) {
            enter(out, &block, CODE);
            for (at += 4; at < stop; at++)
                escaped(out, *at);
            strbuf_char(out, '\n');
        } else {
            if (block == PARAGRAPH || block == LIST)
                strbuf_char(out, '\n');
            else
                enter(out, &block, PARAGRAPH);
            while (at < stop && *at == ' ')
                at++;
            inline_text(out, at, stop);
        }
        at = stop == end ? end : stop + 1;
    }
    enter(out, &block, NOTHING);
}
