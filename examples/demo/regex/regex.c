#include "regex.h"

#include <stdlib.h>
#include <string.h>

enum { SET, SPLIT, BEGIN, END, MATCH };

typedef struct node {
    int kind;
    int next;
    int other; // of SPLIT
    unsigned char set[32];
} node;

struct regex {
    node *nodes;
    int count;
    int start;
};

// A piece of automaton: where it starts, and the node whose `next` is open.
typedef struct piece {
    int start;
    int end;
} piece;

typedef struct parser {
    regex *r;
    const char *at;
    const char *error;
    int depth;
} parser;

static piece alternatives(parser *p);

static int add(parser *p, int kind)
{
    node *n = &p->r->nodes[p->r->count];

    n->kind = kind;
    n->next = n->other = -1;
    return p->r->count++;
}

static void put(unsigned char set[32], int c)
{
    set[c >> 3] |= (unsigned char)(1 << (c & 7));
}

static int has(const unsigned char set[32], int c)
{
    return set[c >> 3] >> (c & 7) & 1;
}

static void put_class(unsigned char set[32], char name)
{
    int c;

    for (c = 0; c < 256; c++) {
        int digit = c >= '0' && c <= '9';
        int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if ((name == 'd' && digit) || (name == 'w' && (digit || letter))
            || (name == 's' && (c == ' ' || (c >= '\t' && c <= '\r'))))
            put(set, c);
    }
}

static void escape(parser *p, unsigned char set[32])
{
    char c = *p->at;

    if (c == 0) {
        p->error = "nothing after a backslash";
        return;
    }
    p->at++;
    if (c == 'd' || c == 'w' || c == 's')
        put_class(set, c);
    else
        put(set, c == 'n' ? '\n' : c == 't' ? '\t' : (unsigned char)c);
}

static void bracket(parser *p, unsigned char set[32])
{
    int i, not = *p->at == '^', first = 1;

    if (not)
        p->at++;
    for (; *p->at != ']' || first; first = 0) {
        int low = (unsigned char)*p->at++, high = low;
        if (low == 0) {
            p->at--;
            p->error = "a [ without its ]";
            return;
        }
        if (low == '\\') {
            escape(p, set);
            if (p->error != NULL)
                return;
            continue;
        }
        if (p->at[0] == '-' && p->at[1] != ']' && p->at[1] != 0) {
            high = (unsigned char)p->at[1];
            p->at += 2;
        }
        for (; low <= high; low++)
            put(set, low);
    }
    p->at++;
    if (not)
        for (i = 0; i < 32; i++)
            set[i] = (unsigned char)~set[i];
}

static piece atom(parser *p)
{
    piece whole;
    node *n;
    char c = *p->at++;

    if (c == '(') {
        if (++p->depth > 200) {
            p->error = "nested too deeply";
            whole.start = whole.end = 0;
            return whole;
        }
        whole = alternatives(p);
        p->depth--;
        if (p->error == NULL && *p->at++ != ')')
            p->error = "a ( without its )";
        return whole;
    }
    whole.start = whole.end = add(p, c == '^' ? BEGIN : c == '$' ? END : SET);
    n = &p->r->nodes[whole.start];
    if (c == '.')
        memset(n->set, 0xff, sizeof n->set);
    else if (c == '[')
        bracket(p, n->set);
    else if (c == '\\')
        escape(p, n->set);
    else if (c == '*' || c == '+' || c == '?')
        p->error = "nothing to repeat";
    else
        put(n->set, (unsigned char)c);
    return whole;
}

// A node that does nothing but lead on.
static int joint(parser *p)
{
    return add(p, SPLIT);
}

static piece repeated(parser *p)
{
    piece one = atom(p);

    while (p->error == NULL && (*p->at == '*' || *p->at == '+' || *p->at == '?')) {
        char c = *p->at++;
        int split = add(p, SPLIT), end = joint(p);
        p->r->nodes[split].next = c == '+' ? end : one.start;
        p->r->nodes[split].other = c == '+' ? one.start : end;
        p->r->nodes[one.end].next = c == '?' ? end : split;
        one.start = c == '+' ? one.start : split;
        one.end = end;
    }
    return one;
}

static piece sequence(parser *p)
{
    piece all;

    all.start = all.end = joint(p);
    while (p->error == NULL && *p->at != 0 && *p->at != '|' && *p->at != ')') {
        piece one = repeated(p);
        p->r->nodes[all.end].next = one.start;
        all.end = one.end;
    }
    return all;
}

static piece alternatives(parser *p)
{
    piece all = sequence(p);

    while (p->error == NULL && *p->at == '|') {
        piece other;
        int split, end;
        p->at++;
        other = sequence(p);
        split = add(p, SPLIT);
        end = joint(p);
        p->r->nodes[split].next = all.start;
        p->r->nodes[split].other = other.start;
        p->r->nodes[all.end].next = p->r->nodes[other.end].next = end;
        all.start = split;
        all.end = end;
    }
    return all;
}

regex *regex_compile(arena *a, const char *pattern, const char **error)
{
    parser p;
    piece all;

    memset(&p, 0, sizeof p);
    p.r = arena_alloc(a, sizeof *p.r);
    // A character adds at most three nodes.
    p.r->nodes = arena_alloc(a, (3 * strlen(pattern) + 8) * sizeof(node));
    p.at = pattern;
    all = alternatives(&p);
    if (p.error == NULL && *p.at == ')')
        p.error = "a ) without its (";
    if (p.error != NULL) {
        *error = p.error;
        return NULL;
    }
    p.r->start = all.start;
    p.r->nodes[all.end].next = add(&p, MATCH);
    return p.r;
}

// A set of states that is emptied in no time: `seen[n] == mark`.
typedef struct states {
    int *list;
    int *seen;
    int count;
    int mark;
} states;

static void enter(const regex *r, states *s, int *stack, int start, int at_begin, int at_end)
{
    int depth = 0;

    stack[depth++] = start;
    while (depth > 0) {
        int n = stack[--depth];
        const node *state;
        if (n < 0 || s->seen[n] == s->mark)
            continue;
        s->seen[n] = s->mark;
        state = &r->nodes[n];
        if (state->kind == SPLIT) {
            stack[depth++] = state->next;
            stack[depth++] = state->other;
        } else if (state->kind == BEGIN || state->kind == END) {
            if (state->kind == BEGIN ? at_begin : at_end)
                stack[depth++] = state->next;
        } else {
            s->list[s->count++] = n;
        }
    }
}

int regex_search(const regex *r, const char *text, size_t size, size_t *start, size_t *end)
{
    int *memory = calloc((size_t)r->count * 6 + 2, sizeof *memory);
    states now, next;
    int *stack = memory + 4 * r->count;
    size_t from, at;
    int found = 0;

    if (memory == NULL)
        abort();
    now.list = memory;
    now.seen = memory + r->count;
    next.list = memory + 2 * r->count;
    next.seen = memory + 3 * r->count;
    now.mark = next.mark = 0;
    for (from = 0; from <= size && !found; from++) {
        now.count = 0;
        now.mark++;
        enter(r, &now, stack, r->start, from == 0, from == size);
        for (at = from; now.count > 0; at++) {
            states swap;
            int i;
            next.count = 0;
            next.mark++;
            for (i = 0; i < now.count; i++) {
                const node *state = &r->nodes[now.list[i]];
                if (state->kind == MATCH) {
                    found = 1;
                    *start = from;
                    *end = at;
                } else if (at < size && has(state->set, (unsigned char)text[at])) {
                    enter(r, &next, stack, state->next, 0, at + 1 == size);
                }
            }
            swap = now;
            now = next;
            next = swap;
        }
    }
    free(memory);
    return found;
}
