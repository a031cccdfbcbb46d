// # bignum
//
// Natural numbers of any size, as limbs of nine decimal digits, lowest first:
// slower than binary limbs, and printed without any division.

#ifndef BIGNUM_H
#define BIGNUM_H

#include "strbuf.h"

#include <stdint.h>

typedef struct bignum {
    uint32_t *limbs;
    size_t count; // the highest limb is not 0
    size_t room;
} bignum;

// ## Functions
//
// - `bignum_init`, `bignum_free`, `bignum_copy`, `bignum_set`
// - `bignum_add` and `bignum_sub` change `a`; the subtrahend must not be larger
// - `bignum_mul` the product of two; `out` must be neither of them
// - `bignum_mul_small`, `bignum_div_small` by a number below 10⁹; the latter gives the remainder
// - `bignum_shift` multiplies by 10⁹ to the power of `limbs`
// - `bignum_cmp` negative, 0 or positive
// - `bignum_print` appends the decimal digits
void bignum_init(bignum *a);
void bignum_free(bignum *a);
void bignum_set(bignum *a, uint32_t value);
void bignum_copy(bignum *a, const bignum *b);
void bignum_add(bignum *a, const bignum *b);
void bignum_sub(bignum *a, const bignum *b);
void bignum_mul(bignum *out, const bignum *a, const bignum *b);
void bignum_mul_small(bignum *a, uint32_t factor);
uint32_t bignum_div_small(bignum *a, uint32_t divisor);
void bignum_shift(bignum *a, size_t limbs);
int bignum_cmp(const bignum *a, const bignum *b);
void bignum_print(strbuf *out, const bignum *a);

#endif
