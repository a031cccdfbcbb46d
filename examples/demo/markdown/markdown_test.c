#include "check.h"
#include "markdown.h"
#include "prng.h"

#include <string.h>

static strbuf out;

static const char *html(const char *text)
{
    strbuf_clear(&out);
    markdown_to_html(&out, text, strlen(text));
    return out.data;
}

// As many tags are closed as are opened.
static int balanced(const char *text)
{
    int open = 0;

    for (; (text = strchr(text, '<')) != NULL; text++)
        open += text[1] == '/' ? -1 : 1;
    return open == 0;
}

int main(void)
{
    static const char letters[] = "#*`-<& \n\n  ab";
    char text[400];
    prng p;
    int round, size, i, wrong = 0;

    check_begin("markdown");
    strbuf_init(&out);
    CHECK_STR("", html("\n\n"));
    CHECK_STR("<h1>Title</h1>\n<p>Text\nand more.</p>\n", html("# Title\nText\nand more.\n"));
    CHECK_STR("<p>#no heading</p>\n", html("#no heading"));
    CHECK_STR("<ul>\n<li>one</li>\n<li>two\nstill two</li>\n</ul>\n<p>end</p>\n", html("- one\n- two\n  still two\n\nend\n"));
    CHECK_STR("<pre>if (a &lt; b)\n    c();\n</pre>\n", html("    if (a < b)\n        c();\n"));
    CHECK_STR("<p>a <code>b*c*</code> <em>d</em> <strong>e</strong></p>\n", html("a `b*c*` *d* **e**"));
    CHECK_STR("<p>2 * 3 * 4 and `open</p>\n", html("2 * 3 * 4 and `open"));
    CHECK_STR("<p>&lt;script&gt; &amp; co</p>\n", html("<script> & co"));

    prng_init(&p, 1);
    for (round = 0; round < 30000; round++) {
        size = (int)prng_below(&p, sizeof text);
        for (i = 0; i < size; i++)
            text[i] = letters[prng_below(&p, sizeof letters - 1)];
        text[size] = 0;
        wrong += !balanced(html(text));
    }
    CHECK_INT(0, wrong);
    return check_end();
}
