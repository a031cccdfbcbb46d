#include "bignum.h"

#include <stdlib.h>
#include <string.h>

enum { BASE = 1000000000 };

void bignum_init(bignum *a)
{
    memset(a, 0, sizeof *a);
}

void bignum_free(bignum *a)
{
    free(a->limbs);
    bignum_init(a);
}

// Sets the count; new limbs are 0.
static void resize(bignum *a, size_t count)
{
    if (count > a->room) {
        a->room = count + count / 2 + 4;
        a->limbs = realloc(a->limbs, a->room * sizeof *a->limbs);
        if (a->limbs == NULL)
            abort();
    }
    if (count > a->count)
        memset(a->limbs + a->count, 0, (count - a->count) * sizeof *a->limbs);
    a->count = count;
}

static void trim(bignum *a)
{
    while (a->count > 0 && a->limbs[a->count - 1] == 0)
        a->count--;
}

void bignum_set(bignum *a, uint32_t value)
{
    a->count = 0;
    resize(a, 2);
    a->limbs[0] = value % BASE;
    a->limbs[1] = value / BASE;
    trim(a);
}

void bignum_copy(bignum *a, const bignum *b)
{
    resize(a, b->count);
    if (b->count > 0)
        memcpy(a->limbs, b->limbs, b->count * sizeof *a->limbs);
}

void bignum_add(bignum *a, const bignum *b)
{
    size_t at;
    uint32_t carry = 0;

    resize(a, (a->count > b->count ? a->count : b->count) + 1);
    for (at = 0; at < a->count; at++) {
        uint32_t sum = a->limbs[at] + (at < b->count ? b->limbs[at] : 0) + carry;
        carry = sum >= BASE;
        a->limbs[at] = carry ? sum - BASE : sum;
    }
    trim(a);
}

void bignum_sub(bignum *a, const bignum *b)
{
    size_t at;
    uint32_t borrow = 0;

    for (at = 0; at < a->count; at++) {
        uint32_t less = (at < b->count ? b->limbs[at] : 0) + borrow;
        borrow = a->limbs[at] < less;
        a->limbs[at] = borrow ? a->limbs[at] + BASE - less : a->limbs[at] - less;
    }
    trim(a);
}

void bignum_mul(bignum *out, const bignum *a, const bignum *b)
{
    size_t i, j;

    out->count = 0;
    resize(out, a->count + b->count + 1);
    for (i = 0; i < a->count; i++) {
        uint64_t carry = 0;
        for (j = 0; j < b->count || carry > 0; j++) {
            uint64_t sum = out->limbs[i + j] + carry + (j < b->count ? (uint64_t)a->limbs[i] * b->limbs[j] : 0);
            carry = sum / BASE;
            out->limbs[i + j] = (uint32_t)(sum % BASE);
        }
    }
    trim(out);
}

void bignum_mul_small(bignum *a, uint32_t factor)
{
    size_t at;
    uint64_t carry = 0;

    resize(a, a->count + 1);
    for (at = 0; at < a->count; at++) {
        carry += (uint64_t)a->limbs[at] * factor;
        a->limbs[at] = (uint32_t)(carry % BASE);
        carry /= BASE;
    }
    trim(a);
}

uint32_t bignum_div_small(bignum *a, uint32_t divisor)
{
    size_t at;
    uint64_t rest = 0;

    for (at = a->count; at-- > 0;) {
        rest = rest * BASE + a->limbs[at];
        a->limbs[at] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    trim(a);
    return (uint32_t)rest;
}

void bignum_shift(bignum *a, size_t limbs)
{
    size_t count = a->count;

    if (count == 0)
        return;
    resize(a, count + limbs);
    memmove(a->limbs + limbs, a->limbs, count * sizeof *a->limbs);
    memset(a->limbs, 0, limbs * sizeof *a->limbs);
}

int bignum_cmp(const bignum *a, const bignum *b)
{
    size_t at;

    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (at = a->count; at-- > 0;)
        if (a->limbs[at] != b->limbs[at])
            return a->limbs[at] < b->limbs[at] ? -1 : 1;
    return 0;
}

void bignum_print(strbuf *out, const bignum *a)
{
    size_t at;

    if (a->count == 0)
        strbuf_char(out, '0');
    for (at = a->count; at-- > 0;)
        strbuf_format(out, at + 1 == a->count ? "%u" : "%09u", a->limbs[at]);
}
