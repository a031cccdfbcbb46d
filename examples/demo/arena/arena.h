// # arena
//
// Memory that is given back all at once: what a parser or a table makes lives
// as long as its arena and needs no bookkeeping of its own.

#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

typedef struct arena_chunk arena_chunk;

typedef struct arena {
    arena_chunk *newest;
    size_t used;
} arena;

// ## Functions
//
// - `arena_init` makes an empty arena; it allocates nothing yet
// - `arena_alloc` gives zeroed memory, aligned for everything
// - `arena_copy` copies bytes and puts a zero byte behind them
// - `arena_free` gives all of it back; the arena is empty then
void arena_init(arena *a);
void *arena_alloc(arena *a, size_t size);
char *arena_copy(arena *a, const char *bytes, size_t size);
void arena_free(arena *a);

#endif
