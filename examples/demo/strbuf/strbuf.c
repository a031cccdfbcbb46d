#include "strbuf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static char nothing[1];

void strbuf_init(strbuf *b)
{
    b->data = nothing;
    b->size = 0;
    b->room = 0;
}

void strbuf_free(strbuf *b)
{
    if (b->room > 0)
        free(b->data);
    strbuf_init(b);
}

void strbuf_clear(strbuf *b)
{
    b->size = 0;
    if (b->room > 0)
        b->data[0] = 0;
}

// Makes room for so many more bytes and the zero byte.
static void reserve(strbuf *b, size_t more)
{
    size_t needed = b->size + more + 1;
    size_t room = b->room == 0 ? 64 : b->room;

    if (needed <= b->room)
        return;
    while (room < needed)
        room *= 2;
    b->data = realloc(b->room == 0 ? NULL : b->data, room);
    if (b->data == NULL) {
        fprintf(stderr, "strbuf: out of memory\n");
        abort();
    }
    b->room = room;
}

void strbuf_bytes(strbuf *b, const void *bytes, size_t size)
{
    reserve(b, size);
    memcpy(b->data + b->size, bytes, size);
    b->size += size;
    b->data[b->size] = 0;
}

void strbuf_str(strbuf *b, const char *text)
{
    strbuf_bytes(b, text, strlen(text));
}

void strbuf_char(strbuf *b, int c)
{
    reserve(b, 1);
    b->data[b->size++] = (char)c;
    b->data[b->size] = 0;
}

void strbuf_format(strbuf *b, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        return;
    reserve(b, (size_t)size);
    va_start(args, format);
    vsnprintf(b->data + b->size, (size_t)size + 1, format, args);
    va_end(args);
    b->size += (size_t)size;
}

int strbuf_read(strbuf *b, FILE *stream)
{
    size_t got;

    do {
        reserve(b, 64 * 1024);
        got = fread(b->data + b->size, 1, 64 * 1024, stream);
        b->size += got;
    } while (got > 0);
    b->data[b->size] = 0;
    return ferror(stream) ? -1 : 0;
}

int strbuf_read_file(strbuf *b, const char *name)
{
    FILE *stream;
    int result;

    if (strcmp(name, "-") == 0)
        return strbuf_read(b, stdin);
    stream = fopen(name, "rb");
    if (stream == NULL)
        return -1;
    result = strbuf_read(b, stream);
    fclose(stream);
    return result;
}
