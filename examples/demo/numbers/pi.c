// pi DIGITS machin|gauss: the digits of pi behind the point, fifty on a line.
//
// Both formulas are sums of arctangents of 1/n, worked out with whole numbers of so many digits and a few more.
#include "bignum.h"

#include <stdlib.h>
#include <string.h>

typedef struct term {
    int factor;
    uint32_t n;
} term;

static const term machin[] = {{16, 5}, {-4, 239}, {0, 0}};
static const term gauss[] = {{48, 18}, {32, 57}, {-20, 239}, {0, 0}};

// factor * arctan(1/n), `limbs` limbs behind the point: the sum of +-factor / ((2k + 1) n^(2k + 1)).
static void arctan(bignum *plus, bignum *minus, int factor, uint32_t n, size_t limbs)
{
    bignum power, quotient;
    uint32_t k;

    bignum_init(&power);
    bignum_init(&quotient);
    bignum_set(&power, (uint32_t)(factor < 0 ? -factor : factor));
    bignum_shift(&power, limbs);
    bignum_div_small(&power, n);
    for (k = 0; power.count > 0; k++) {
        bignum_copy(&quotient, &power);
        bignum_div_small(&quotient, 2 * k + 1);
        bignum_add((k % 2 == 0) == (factor > 0) ? plus : minus, &quotient);
        bignum_div_small(&power, n * n);
    }
    bignum_free(&power);
    bignum_free(&quotient);
}

int main(int argc, char **argv)
{
    long digits = argc > 1 ? atol(argv[1]) : 0, at;
    const term *t;
    bignum plus, minus;
    strbuf out;

    if (argc != 3 || digits < 1) {
        fprintf(stderr, "usage: pi DIGITS machin|gauss\n");
        return 2;
    }
    bignum_init(&plus);
    bignum_init(&minus);
    for (t = strcmp(argv[2], "gauss") == 0 ? gauss : machin; t->n != 0; t++)
        arctan(&plus, &minus, t->factor, t->n, (size_t)digits / 9 + 3);
    bignum_sub(&plus, &minus);
    strbuf_init(&out);
    bignum_print(&out, &plus);
    // The first digit is the 3.
    printf("3.\n");
    for (at = 1; at <= digits; at++)
        printf("%c%s", out.data[at], at % 50 == 0 || at == digits ? "\n" : "");
    return 0;
}
