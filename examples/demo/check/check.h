// # check
//
// A very small test framework: a suite is a program that calls `CHECK…` between
// `check_begin` and `check_end` and returns what `check_end` says.
//
// A failed check prints its place and both values, and the suite goes on.

#ifndef CHECK_H
#define CHECK_H

// ## Running a suite
//
// - `check_begin(name)` starts a suite
// - `check_end()` prints the count; 0 if all went well, else 1: the exit status
void check_begin(const char *suite);
int check_end(void);

// ## Checks
//
// - `CHECK(condition)`
// - `CHECK_INT(expected, got)` compares integers
// - `CHECK_STR(expected, got)` compares strings
// - `CHECK_MEM(expected, got, size)` compares bytes
#define CHECK(condition) check_true((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_INT(expected, got) check_int((expected), (got), #got, __FILE__, __LINE__)
#define CHECK_STR(expected, got) check_str((expected), (got), #got, __FILE__, __LINE__)
#define CHECK_MEM(expected, got, size) check_mem((expected), (got), (size), #got, __FILE__, __LINE__)

void check_true(int ok, const char *text, const char *file, int line);
void check_int(long long expected, long long got, const char *text, const char *file, int line);
void check_str(const char *expected, const char *got, const char *text, const char *file, int line);
void check_mem(const void *expected, const void *got, unsigned long size, const char *text, const char *file, int line);

#endif
