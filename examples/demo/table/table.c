#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *memory, size_t count, size_t size)
{
    memory = realloc(memory, count * size);
    if (memory == NULL) {
        fprintf(stderr, "table: out of memory\n");
        abort();
    }
    return memory;
}

static unsigned long hash_of(const char *key, size_t size)
{
    unsigned long hash = 14695981039346656037UL;
    size_t at;

    for (at = 0; at < size; at++)
        hash = (hash ^ (unsigned char)key[at]) * 1099511628211UL;
    return hash;
}

void table_init(table *t)
{
    memset(t, 0, sizeof *t);
    arena_init(&t->keys);
}

void table_free(table *t)
{
    arena_free(&t->keys);
    free(t->entries);
    free(t->slots);
    table_init(t);
}

// The slot where a key is, or where it belongs.
static size_t slot_of(const table *t, const char *key, size_t size, unsigned long hash)
{
    size_t slot = hash & (t->slot_count - 1);

    for (;;) {
        const table_entry *entry;
        if (t->slots[slot] == 0)
            return slot;
        entry = &t->entries[t->slots[slot] - 1];
        if (entry->hash == hash && entry->size == size && memcmp(entry->key, key, size) == 0)
            return slot;
        slot = (slot + 1) & (t->slot_count - 1);
    }
}

static void grow(table *t)
{
    size_t at;

    t->slot_count = t->slot_count == 0 ? 64 : t->slot_count * 2;
    t->slots = grown(t->slots, t->slot_count, sizeof *t->slots);
    memset(t->slots, 0, t->slot_count * sizeof *t->slots);
    for (at = 0; at < t->count; at++) {
        const table_entry *entry = &t->entries[at];
        t->slots[slot_of(t, entry->key, entry->size, entry->hash)] = at + 1;
    }
}

long *table_find(const table *t, const char *key, size_t size)
{
    size_t slot;

    if (t->slot_count == 0)
        return NULL;
    slot = slot_of(t, key, size, hash_of(key, size));
    return t->slots[slot] == 0 ? NULL : &t->entries[t->slots[slot] - 1].value;
}

long *table_at(table *t, const char *key, size_t size)
{
    unsigned long hash = hash_of(key, size);
    size_t slot;

    if (t->count * 3 >= t->slot_count * 2)
        grow(t);
    slot = slot_of(t, key, size, hash);
    if (t->slots[slot] == 0) {
        table_entry *entry;
        if (t->count == t->room) {
            t->room = t->room == 0 ? 32 : t->room * 2;
            t->entries = grown(t->entries, t->room, sizeof *t->entries);
        }
        entry = &t->entries[t->count++];
        entry->key = arena_copy(&t->keys, key, size);
        entry->size = size;
        entry->hash = hash;
        entry->value = 0;
        t->slots[slot] = t->count;
    }
    return &t->entries[t->slots[slot] - 1].value;
}
