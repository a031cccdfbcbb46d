// # json
//
// A reader and printer for JSON, RFC 8259. Numbers keep the text they had, so
// that nothing is lost by reading and printing.

#ifndef JSON_H
#define JSON_H

#include "arena.h"
#include "strbuf.h"

typedef enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_kind;

typedef struct json {
    json_kind kind;
    const char *text; // of a number or string
    size_t size;
    const char *key; // within an object
    size_t key_size;
    struct json *first; // within this array or object
    struct json *next; // beside this value
} json;

// ## Functions
//
// - `json_parse` reads a text; a null pointer and a message with its place if it is not JSON
// - `json_print` appends a value's text; `indent` spaces a level, or all on one line if 0
// - `json_at` a value within another: `servers.0.name`; a null pointer if there is none
json *json_parse(arena *a, const char *text, size_t size, strbuf *error);
void json_print(strbuf *out, const json *value, int indent);
const json *json_at(const json *value, const char *path);

#endif
