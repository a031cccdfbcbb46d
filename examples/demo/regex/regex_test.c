#include "check.h"
#include "regex.h"

#include <stdio.h>
#include <string.h>

static arena memory;

// What matches: the text itself, "no" or "bad: …".
static const char *match(const char *pattern, const char *text)
{
    static char result[300];
    const char *error = NULL;
    size_t start = 0, end = 0;
    regex *r = regex_compile(&memory, pattern, &error);

    if (r == NULL)
        sprintf(result, "bad: %s", error);
    else if (!regex_search(r, text, strlen(text), &start, &end))
        strcpy(result, "no");
    else
        sprintf(result, "<%.*s>", (int)(end - start), text + start);
    return result;
}

int main(void)
{
    static char many[20001], nested[2000];
    size_t start, end;
    const char *error;
    regex *r;
    int i;

    check_begin("regex");
    arena_init(&memory);
    CHECK_STR("<b>", match("b", "abc"));
    CHECK_STR("no", match("x", "abc"));
    CHECK_STR("<>", match("", "abc"));
    CHECK_STR("<abbb>", match("ab*", "xabbbc"));
    CHECK_STR("no", match("ab+c", "ac"));
    CHECK_STR("<ac>", match("ab?c", "ac"));
    CHECK_STR("<cat>", match("dog|cat|cow", "a cat and a dog"));
    CHECK_STR("<ababab>", match("(ab)+", "xxabababa"));
    CHECK_STR("<2026-11-21>", match("\\d+-\\d\\d-\\d\\d", "on 2026-11-21, a day"));
    CHECK_STR("<key = value>", match("\\w+\\s*=\\s*\\w+", "  key = value;"));
    CHECK_STR("<x]y>", match("[^a-c]+", "abx]ycb"));
    CHECK_STR("<]->", match("[]-]+", "a]-b"));
    CHECK_STR("<a.b>", match("a\\.b", "axb a.b"));
    CHECK_STR("<abc>", match("^abc$", "abc"));
    CHECK_STR("no", match("^bc", "abc"));
    CHECK_STR("no", match("ab$", "abc"));
    CHECK_STR("<>", match("$", "abc"));
    CHECK_STR("<foobar>", match("foo|foobar", "foobar"));
    CHECK_STR("<>", match("(a*)*", "b"));
    CHECK_STR("<abcabc>", match("((a|b)*c)*", "abcabc"));
    CHECK_STR("bad: a ( without its )", match("(a", ""));
    CHECK_STR("bad: a ) without its (", match("a)", ""));
    CHECK_STR("bad: a [ without its ]", match("[a", ""));
    CHECK_STR("bad: nothing to repeat", match("a|*", ""));
    CHECK_STR("bad: nothing after a backslash", match("a\\", ""));
    memset(nested, '(', 1000);
    CHECK_STR("bad: nested too deeply", match(nested, ""));
    // What takes others exponential time: many ways to match nothing.
    memset(many, 'a', 20000);
    r = regex_compile(&memory, "(a*)*(a|aa)*(a*a*)*b", &error);
    CHECK(r != NULL && !regex_search(r, many, 60, &start, &end));
    r = regex_compile(&memory, "(x+x+)+y|(a|b|ab)*$", &error);
    for (i = 0; r != NULL && i < 10; i++)
        CHECK(regex_search(r, many, 20000, &start, &end) && start == 0 && end == 20000);
    arena_free(&memory);
    return check_end();
}
