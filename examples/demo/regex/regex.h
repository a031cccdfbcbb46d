// # regex
//
// Regular expressions in time proportional to pattern times text: the states
// of the automaton are walked side by side, nothing is tried twice.
//
// Understood are `.` `*` `+` `?` `|` `(…)` `[a-z]` `[^a-z]` `^` `$` `\d` `\w` `\s`
// and `\` before any other character for that character.

#ifndef REGEX_H
#define REGEX_H

#include "arena.h"

typedef struct regex regex;

// ## Functions
//
// - `regex_compile` makes an expression in an arena; a null pointer and a message if the pattern is bad
// - `regex_search` whether it matches somewhere; then the longest of the leftmost matches
regex *regex_compile(arena *a, const char *pattern, const char **error);
int regex_search(const regex *r, const char *text, size_t size, size_t *start, size_t *end);

#endif
