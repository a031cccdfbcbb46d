// # strbuf
//
// A growing buffer of bytes. `data` always has a zero byte behind its `size`
// bytes, so that it is a string if no zero byte was put in.

#ifndef STRBUF_H
#define STRBUF_H

#include <stddef.h>
#include <stdio.h>

typedef struct strbuf {
    char *data;
    size_t size;
    size_t room;
} strbuf;

// ## Functions
//
// - `strbuf_init` makes an empty buffer, `strbuf_free` gives its memory back
// - `strbuf_clear` empties it and keeps the memory
// - `strbuf_bytes`, `strbuf_str`, `strbuf_char` append
// - `strbuf_format` appends as `printf` would print
// - `strbuf_read` appends all that is left of a stream; 0, or -1 if reading fails
// - `strbuf_read_file` the same for a file; `-` is the standard input
void strbuf_init(strbuf *b);
void strbuf_free(strbuf *b);
void strbuf_clear(strbuf *b);
void strbuf_bytes(strbuf *b, const void *bytes, size_t size);
void strbuf_str(strbuf *b, const char *text);
void strbuf_char(strbuf *b, int c);
void strbuf_format(strbuf *b, const char *format, ...);
int strbuf_read(strbuf *b, FILE *stream);
int strbuf_read_file(strbuf *b, const char *name);

#endif
