// # table
//
// A hash table from strings to integers (open addressing, FNV-1a). Keys are
// copied. Entries are kept in the order in which they came, so that programs
// that list a table print the same every time.

#ifndef TABLE_H
#define TABLE_H

#include "arena.h"

typedef struct table_entry {
    const char *key;
    size_t size;
    unsigned long hash;
    long value;
} table_entry;

typedef struct table {
    arena keys;
    table_entry *entries;
    size_t count;
    size_t room;
    size_t *slots; // index + 1 of an entry, or 0
    size_t slot_count;
} table;

// ## Functions
//
// - `table_init`, `table_free`
// - `table_at` the value of a key, made with 0 if it is new; valid until the next `table_at`
// - `table_find` the value of a key, or a null pointer
void table_init(table *t);
void table_free(table *t);
long *table_at(table *t, const char *key, size_t size);
long *table_find(const table *t, const char *key, size_t size);

#endif
