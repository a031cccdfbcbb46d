#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, CHUNK = 16 * 1024 };

struct arena_chunk {
    arena_chunk *older;
    size_t size;
    size_t used;
    size_t padding; // so that what follows is aligned
};

void arena_init(arena *a)
{
    a->newest = NULL;
    a->used = 0;
}

void *arena_alloc(arena *a, size_t size)
{
    arena_chunk *chunk = a->newest;
    void *memory;

    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        chunk = calloc(1, sizeof *chunk + room);
        if (chunk == NULL) {
            fprintf(stderr, "arena: out of memory\n");
            abort();
        }
        chunk->older = a->newest;
        chunk->size = room;
        a->newest = chunk;
    }
    memory = (char *)(chunk + 1) + chunk->used;
    chunk->used += size;
    a->used += size;
    return memory;
}

char *arena_copy(arena *a, const char *bytes, size_t size)
{
    char *copy = arena_alloc(a, size + 1);

    memcpy(copy, bytes, size);
    copy[size] = 0;
    return copy;
}

void arena_free(arena *a)
{
    while (a->newest != NULL) {
        arena_chunk *older = a->newest->older;
        free(a->newest);
        a->newest = older;
    }
    a->used = 0;
}
