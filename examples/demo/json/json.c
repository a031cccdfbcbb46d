#include "json.h"

#include <stdlib.h>
#include <string.h>

typedef struct parser {
    arena *a;
    const char *text;
    size_t size;
    size_t at;
    int depth;
    const char *error;
} parser;

static json *value(parser *p);

static int peek(const parser *p)
{
    return p->at < p->size ? (unsigned char)p->text[p->at] : -1;
}

static void space(parser *p)
{
    int c;

    while ((c = peek(p)) == ' ' || c == '\n' || c == '\t' || c == '\r')
        p->at++;
}

static int fail(parser *p, const char *what)
{
    if (p->error == NULL)
        p->error = what;
    return 0;
}

static int hex4(parser *p, unsigned *code)
{
    int i;

    *code = 0;
    for (i = 0; i < 4; i++, p->at++) {
        int c = peek(p);
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return fail(p, "four hexadecimal digits are needed");
        *code = *code * 16 + (unsigned)digit;
    }
    return 1;
}

static void utf8(strbuf *out, unsigned code)
{
    if (code < 0x80) {
        strbuf_char(out, (int)code);
        return;
    }
    if (code < 0x800) {
        strbuf_char(out, (int)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            strbuf_char(out, (int)(0xe0 | code >> 12));
        } else {
            strbuf_char(out, (int)(0xf0 | code >> 18));
            strbuf_char(out, (int)(0x80 | (code >> 12 & 63)));
        }
        strbuf_char(out, (int)(0x80 | (code >> 6 & 63)));
    }
    strbuf_char(out, (int)(0x80 | (code & 63)));
}

static int escape(parser *p, strbuf *out)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    int c = peek(p);
    const char *name = c > 0 ? strchr(names, c) : NULL;
    unsigned code, low;

    p->at++;
    if (name != NULL) {
        strbuf_char(out, means[name - names]);
        return 1;
    }
    if (c != 'u')
        return fail(p, "this escape does not exist");
    if (!hex4(p, &code))
        return 0;
    if (code >= 0xd800 && code < 0xdc00) {
        if (peek(p) != '\\' || p->at + 1 >= p->size || p->text[p->at + 1] != 'u')
            return fail(p, "half of a surrogate pair");
        p->at += 2;
        if (!hex4(p, &low))
            return 0;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(p, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return fail(p, "half of a surrogate pair");
    }
    utf8(out, code);
    return 1;
}

static int string(parser *p, const char **text, size_t *size)
{
    strbuf out;
    int c, ok = 1;

    strbuf_init(&out);
    if (peek(p) != '"')
        return fail(p, "a string is needed");
    p->at++;
    while (ok && (c = peek(p)) != '"') {
        if (c < 0x20) {
            ok = fail(p, c < 0 ? "the string does not end" : "a control character in a string");
            break;
        }
        p->at++;
        if (c == '\\')
            ok = escape(p, &out);
        else
            strbuf_char(&out, c);
    }
    p->at++;
    *text = arena_copy(p->a, out.data, out.size);
    *size = out.size;
    strbuf_free(&out);
    return ok;
}

static int digits(parser *p)
{
    size_t start = p->at;

    while (peek(p) >= '0' && peek(p) <= '9')
        p->at++;
    return p->at > start;
}

static int number(parser *p, json *v)
{
    size_t start = p->at;

    if (peek(p) == '-')
        p->at++;
    if (peek(p) == '0')
        p->at++;
    else if (!digits(p))
        return fail(p, "a value is needed");
    if (peek(p) == '.') {
        p->at++;
        if (!digits(p))
            return fail(p, "digits are needed after the point");
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        if (!digits(p))
            return fail(p, "digits are needed in the exponent");
    }
    v->kind = JSON_NUMBER;
    v->text = arena_copy(p->a, p->text + start, p->at - start);
    v->size = p->at - start;
    return 1;
}

static int word(parser *p, json *v, const char *name, json_kind kind)
{
    size_t size = strlen(name);

    if (p->size - p->at < size || memcmp(p->text + p->at, name, size) != 0)
        return fail(p, "a value is needed");
    p->at += size;
    v->kind = kind;
    return 1;
}

static int members(parser *p, json *v, char close)
{
    json **link = &v->first;

    p->at++;
    space(p);
    if (peek(p) == close) {
        p->at++;
        return 1;
    }
    for (;;) {
        const char *key = NULL;
        size_t key_size = 0;
        json *member;
        space(p);
        if (close == '}') {
            if (!string(p, &key, &key_size))
                return 0;
            space(p);
            if (peek(p) != ':')
                return fail(p, "a colon is needed");
            p->at++;
        }
        member = value(p);
        if (member == NULL)
            return 0;
        member->key = key;
        member->key_size = key_size;
        *link = member;
        link = &member->next;
        space(p);
        if (peek(p) == close) {
            p->at++;
            return 1;
        }
        if (peek(p) != ',')
            return fail(p, close == '}' ? "a comma or } is needed" : "a comma or ] is needed");
        p->at++;
    }
}

static json *value(parser *p)
{
    json *v = arena_alloc(p->a, sizeof *v);
    int ok;

    space(p);
    if (p->depth >= 500) {
        fail(p, "nested too deeply");
        return NULL;
    }
    p->depth++;
    switch (peek(p)) {
    case '{': v->kind = JSON_OBJECT; ok = members(p, v, '}'); break;
    case '[': v->kind = JSON_ARRAY; ok = members(p, v, ']'); break;
    case '"': v->kind = JSON_STRING; ok = string(p, &v->text, &v->size); break;
    case 'n': ok = word(p, v, "null", JSON_NULL); break;
    case 't': ok = word(p, v, "true", JSON_TRUE); break;
    case 'f': ok = word(p, v, "false", JSON_FALSE); break;
    default: ok = number(p, v);
    }
    p->depth--;
    return ok ? v : NULL;
}

json *json_parse(arena *a, const char *text, size_t size, strbuf *error)
{
    parser p;
    json *v;
    size_t at, line = 1;

    memset(&p, 0, sizeof p);
    p.a = a;
    p.text = text;
    p.size = size;
    v = value(&p);
    if (v != NULL) {
        space(&p);
        if (p.at == size)
            return v;
        fail(&p, "something follows the value");
    }
    for (at = 0; at < p.at && at < size; at++)
        line += text[at] == '\n';
    strbuf_format(error, "line %lu: %s", (unsigned long)line, p.error);
    return NULL;
}

static void print_string(strbuf *out, const char *text, size_t size)
{
    size_t at;

    strbuf_char(out, '"');
    for (at = 0; at < size; at++) {
        unsigned char c = (unsigned char)text[at];
        if (c == '"' || c == '\\')
            strbuf_char(out, '\\');
        if (c == '\n')
            strbuf_str(out, "\\n");
        else if (c == '\t')
            strbuf_str(out, "\\t");
        else if (c < 0x20)
            strbuf_format(out, "\\u%04x", c);
        else
            strbuf_char(out, c);
    }
    strbuf_char(out, '"');
}

static void line(strbuf *out, int indent, int level)
{
    if (indent > 0)
        strbuf_format(out, "\n%*s", indent * level, "");
}

static void print(strbuf *out, const json *v, int indent, int level)
{
    static const char *words[] = {"null", "false", "true"};
    const json *member;

    if (v->kind <= JSON_TRUE) {
        strbuf_str(out, words[v->kind]);
    } else if (v->kind == JSON_NUMBER) {
        strbuf_bytes(out, v->text, v->size);
    } else if (v->kind == JSON_STRING) {
        print_string(out, v->text, v->size);
    } else {
        strbuf_char(out, v->kind == JSON_OBJECT ? '{' : '[');
        for (member = v->first; member != NULL; member = member->next) {
            if (member != v->first)
                strbuf_char(out, ',');
            line(out, indent, level + 1);
            if (v->kind == JSON_OBJECT) {
                print_string(out, member->key, member->key_size);
                strbuf_str(out, indent > 0 ? ": " : ":");
            }
            print(out, member, indent, level + 1);
        }
        if (v->first != NULL)
            line(out, indent, level);
        strbuf_char(out, v->kind == JSON_OBJECT ? '}' : ']');
    }
}

void json_print(strbuf *out, const json *v, int indent)
{
    print(out, v, indent, 0);
}

const json *json_at(const json *v, const char *path)
{
    while (v != NULL && *path != 0) {
        size_t size = strcspn(path, ".");
        const json *member = v->first;
        if (v->kind == JSON_ARRAY) {
            long skip = strtol(path, NULL, 10);
            while (member != NULL && skip-- > 0)
                member = member->next;
        } else {
            while (member != NULL && (member->key_size != size || memcmp(member->key, path, size) != 0))
                member = member->next;
        }
        v = member;
        path += size + (path[size] == '.');
    }
    return v;
}
