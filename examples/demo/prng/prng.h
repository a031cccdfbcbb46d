// # prng
//
// Pseudo-random numbers for tests: the same seed gives the same numbers on
// every machine (splitmix64).

#ifndef PRNG_H
#define PRNG_H

#include <stdint.h>

typedef struct prng {
    uint64_t state;
} prng;

// ## Functions
//
// - `prng_init` starts a sequence
// - `prng_next` its next 64 bits
// - `prng_below` a number below `limit`, which must not be 0
void prng_init(prng *p, uint64_t seed);
uint64_t prng_next(prng *p);
uint64_t prng_below(prng *p, uint64_t limit);

#endif
