// forth FILE...: a small Forth.
//
// Cells are 64 bits. Known are + - * / mod negate abs min max = <> < > 0= and or xor, dup drop swap over rot,
// . cr emit ." …", : ;, if else then, begin until, begin while repeat, do loop i, variable constant @ ! +!,
// cells allot, \ and ( comments. Words are compiled to a list of operations.
#include "strbuf.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { STACK = 1024, CODE = 1 << 16, MEMORY = 1 << 20 };

typedef enum op {
    STOP, PUSH, CALL, RETURN, JUMP, JUMP_ZERO, DO, LOOP, INDEX, TEXT,
    ADD, SUB, MUL, DIV, MOD, NEGATE, ABS, MIN, MAX, EQUAL, UNEQUAL, LESS, GREATER, NOT, AND, OR, XOR,
    DUP, DROP, SWAP, OVER, ROT, PRINT, CR, EMIT, FETCH, STORE, ADD_STORE, CELLS, ALLOT,
    COLON, SEMICOLON, IF, ELSE, THEN, BEGIN, UNTIL, WHILE, REPEAT, DO_WORD, LOOP_WORD, VARIABLE, CONSTANT, QUOTE, COMMENT, PAREN
} op;

static const struct {
    const char *name;
    op op;
} builtins[] = {
    {"+", ADD}, {"-", SUB}, {"*", MUL}, {"/", DIV}, {"mod", MOD}, {"negate", NEGATE}, {"abs", ABS}, {"min", MIN},
    {"max", MAX}, {"=", EQUAL}, {"<>", UNEQUAL}, {"<", LESS}, {">", GREATER}, {"0=", NOT}, {"and", AND}, {"or", OR},
    {"xor", XOR}, {"dup", DUP}, {"drop", DROP}, {"swap", SWAP}, {"over", OVER}, {"rot", ROT}, {".", PRINT}, {"cr", CR},
    {"emit", EMIT}, {"@", FETCH}, {"!", STORE}, {"+!", ADD_STORE}, {"cells", CELLS}, {"allot", ALLOT}, {"i", INDEX},
    {":", COLON}, {";", SEMICOLON}, {"if", IF}, {"else", ELSE}, {"then", THEN}, {"begin", BEGIN}, {"until", UNTIL},
    {"while", WHILE}, {"repeat", REPEAT}, {"do", DO_WORD}, {"loop", LOOP_WORD}, {"variable", VARIABLE},
    {"constant", CONSTANT}, {".\"", QUOTE}, {"\\", COMMENT}, {"(", PAREN},
};

static long code[CODE], stack[STACK], returns[STACK], memory[MEMORY / 8];
static long here, depth, return_depth, memory_used;
static table words; // below 1000: a builtin's op; else 1000 + where the word's code is
static const char *source, *at;
static int line_number;
static long open_marks[64];
static int open_count;

static void die(const char *what)
{
    fflush(stdout);
    fprintf(stderr, "forth: line %d: %s\n", line_number, what);
    exit(1);
}

static void push(long value)
{
    if (depth == STACK)
        die("stack overflow");
    stack[depth++] = value;
}

static long pop(void)
{
    if (depth == 0)
        die("stack underflow");
    return stack[--depth];
}

static void compile(long value)
{
    if (here == CODE)
        die("too much code");
    code[here++] = value;
}

static void mark(long value)
{
    if (open_count == 64)
        die("nested too deeply");
    open_marks[open_count++] = value;
}

static long unmark(void)
{
    if (open_count == 0)
        die("this ends what did not begin");
    return open_marks[--open_count];
}

static long *cell(long address)
{
    if (address < 0 || address >= memory_used || address % 8 != 0)
        die("bad address");
    return &memory[address / 8];
}

static void arithmetic(op o)
{
    long b = pop(), a = pop(), result;

    switch (o) {
    case ADD: result = (long)((unsigned long)a + (unsigned long)b); break;
    case SUB: result = (long)((unsigned long)a - (unsigned long)b); break;
    case MUL: result = (long)((unsigned long)a * (unsigned long)b); break;
    case DIV:
    case MOD:
        if (b == 0 || b == -1) {
            if (b == 0)
                die("division by zero");
            result = o == DIV ? (long)(0 - (unsigned long)a) : 0;
        } else {
            result = o == DIV ? a / b : a % b;
        }
        break;
    case MIN: result = a < b ? a : b; break;
    case MAX: result = a > b ? a : b; break;
    case EQUAL: result = -(a == b); break;
    case UNEQUAL: result = -(a != b); break;
    case LESS: result = -(a < b); break;
    case GREATER: result = -(a > b); break;
    case AND: result = a & b; break;
    case OR: result = a | b; break;
    default: result = a ^ b;
    }
    push(result);
}

static void stack_word(op o)
{
    long c = pop(), b, a;

    if (o == DROP)
        return;
    if (o == DUP) {
        push(c);
        push(c);
        return;
    }
    b = pop();
    if (o == SWAP) {
        push(c);
        push(b);
    } else if (o == OVER) {
        push(b);
        push(c);
        push(b);
    } else {
        a = pop();
        push(b);
        push(c);
        push(a);
    }
}

static void allot(long bytes)
{
    if (bytes < 0 || bytes > MEMORY - memory_used)
        die("out of memory");
    memory_used += (bytes + 7) / 8 * 8;
}

static void run(long pc)
{
    long bottom = return_depth, value;

    for (;;) {
        op o = (op)code[pc++];
        switch (o) {
        case STOP: return;
        case PUSH: push(code[pc++]); break;
        case CALL:
            if (return_depth + 2 > STACK)
                die("calls nested too deeply");
            returns[return_depth++] = pc + 1;
            pc = code[pc];
            break;
        case RETURN:
            if (return_depth == bottom)
                return;
            pc = returns[--return_depth];
            break;
        case JUMP: pc = code[pc]; break;
        case JUMP_ZERO: pc = pop() == 0 ? code[pc] : pc + 1; break;
        case DO:
            if (return_depth + 2 > STACK)
                die("loops nested too deeply");
            value = pop();
            returns[return_depth++] = pop();
            returns[return_depth++] = value;
            break;
        case LOOP:
            if (++returns[return_depth - 1] < returns[return_depth - 2]) {
                pc = code[pc];
            } else {
                return_depth -= 2;
                pc++;
            }
            break;
        case INDEX: push(return_depth > bottom ? returns[return_depth - 1] : 0); break;
        case TEXT:
            fwrite(source + code[pc], 1, (size_t)code[pc + 1], stdout);
            pc += 2;
            break;
        case DUP: case DROP: case SWAP: case OVER: case ROT: stack_word(o); break;
        case NEGATE: push((long)(0 - (unsigned long)pop())); break;
        case ABS: value = pop(); push(value < 0 ? (long)(0 - (unsigned long)value) : value); break;
        case NOT: push(-(pop() == 0)); break;
        case PRINT: printf("%ld ", pop()); break;
        case CR: putchar('\n'); break;
        case EMIT: putchar((int)(pop() & 255)); break;
        case FETCH: push(*cell(pop())); break;
        case STORE: value = pop(); *cell(value) = pop(); break;
        case ADD_STORE: value = pop(); *cell(value) += pop(); break;
        case CELLS: push(pop() * 8); break;
        case ALLOT: allot(pop()); break;
        default: arithmetic(o);
        }
    }
}

static int next_word(const char **word, size_t *size)
{
    while (*at == ' ' || *at == '\t' || *at == '\n')
        line_number += *at++ == '\n';
    *word = at;
    while (*at != 0 && *at != ' ' && *at != '\t' && *at != '\n')
        at++;
    *size = (size_t)(at - *word);
    return *size > 0;
}

static void skip_to(char end)
{
    while (*at != 0 && *at != end)
        line_number += *at++ == '\n';
    if (*at == end && end != '\n')
        at++;
}

static void define(op o)
{
    const char *word;
    size_t size;

    if (!next_word(&word, &size))
        die("a name is needed");
    *table_at(&words, word, size) = 1000 + here;
    if (o == COLON)
        return;
    compile(PUSH);
    compile(o == CONSTANT ? pop() : memory_used);
    compile(RETURN);
    if (o == VARIABLE)
        allot(8);
}

static void control(op o)
{
    long where;

    switch (o) {
    case IF: compile(JUMP_ZERO); mark(here); compile(0); break;
    case ELSE: where = unmark(); compile(JUMP); mark(here); compile(0); code[where] = here; break;
    case THEN: code[unmark()] = here; break;
    case BEGIN: mark(here); break;
    case UNTIL: compile(JUMP_ZERO); compile(unmark()); break;
    case WHILE: compile(JUMP_ZERO); mark(here); compile(0); break;
    case REPEAT: where = unmark(); compile(JUMP); compile(unmark()); code[where] = here; break;
    case DO_WORD: compile(DO); mark(here); break;
    default: compile(LOOP); compile(unmark());
    }
}

static void text(int compiling)
{
    const char *start = *at == ' ' ? at + 1 : at;

    skip_to('"');
    if (compiling) {
        compile(TEXT);
        compile(start - source);
        compile(at - 1 - start);
    } else {
        fwrite(start, 1, (size_t)(at - 1 - start), stdout);
    }
}

static void interpret(void)
{
    const char *word;
    size_t size;
    int compiling = 0;

    while (next_word(&word, &size)) {
        const long *known = table_find(&words, word, size);
        long value, begin = here;
        char *end;
        op o = known != NULL && *known < 1000 ? (op)*known : STOP;
        if (o == COMMENT) {
            skip_to('\n');
        } else if (o == PAREN) {
            skip_to(')');
        } else if (o == QUOTE) {
            text(compiling);
        } else if (o == COLON || o == VARIABLE || o == CONSTANT) {
            if (compiling)
                die("a definition within a definition");
            define(o);
            compiling = o == COLON;
        } else if (o == SEMICOLON) {
            if (!compiling || open_count > 0)
                die("; does not belong here");
            compile(RETURN);
            compiling = 0;
        } else if (o >= IF) {
            if (!compiling)
                die("only within a definition");
            control(o);
        } else {
            if (o != STOP) {
                compile(o);
            } else if (known != NULL) {
                compile(CALL);
                compile(*known - 1000);
            } else {
                value = strtol(word, &end, 10);
                if (end != at) {
                    fprintf(stderr, "forth: %.*s?\n", (int)size, word);
                    die("unknown word");
                }
                compile(PUSH);
                compile(value);
            }
            if (!compiling) {
                compile(STOP);
                run(begin);
                here = begin;
            }
        }
    }
    if (compiling)
        die("a definition does not end");
}

int main(int argc, char **argv)
{
    strbuf in;
    size_t i;
    int file;

    table_init(&words);
    for (i = 0; i < sizeof builtins / sizeof *builtins; i++)
        *table_at(&words, builtins[i].name, strlen(builtins[i].name)) = builtins[i].op;
    strbuf_init(&in);
    for (file = 1; file < argc; file++) {
        if (strbuf_read_file(&in, argv[file]) != 0) {
            fprintf(stderr, "forth: cannot read %s\n", argv[file]);
            return 1;
        }
        strbuf_char(&in, '\n');
    }
    source = at = in.data;
    line_number = 1;
    interpret();
    return 0;
}
