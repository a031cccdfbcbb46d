#include "bignum.h"
#include "check.h"
#include "prng.h"

static strbuf out;

static const char *text(const bignum *a)
{
    strbuf_clear(&out);
    bignum_print(&out, a);
    return out.data;
}

static void draw(prng *p, bignum *a, size_t limbs)
{
    bignum limb;

    bignum_init(&limb);
    bignum_set(a, 0);
    while (limbs-- > 0) {
        bignum_shift(a, 1);
        bignum_set(&limb, (uint32_t)prng_below(p, 1000000000));
        bignum_add(a, &limb);
    }
    bignum_free(&limb);
}

int main(void)
{
    bignum a, b, c, d, e;
    prng p;
    int i, wrong = 0;

    check_begin("bignum");
    strbuf_init(&out);
    bignum_init(&a), bignum_init(&b), bignum_init(&c), bignum_init(&d), bignum_init(&e);
    CHECK_STR("0", text(&a));
    bignum_set(&a, 4294967295u);
    CHECK_STR("4294967295", text(&a));
    bignum_mul(&b, &a, &a);
    CHECK_STR("18446744065119617025", text(&b));
    bignum_set(&a, 1);
    for (i = 2; i <= 30; i++)
        bignum_mul_small(&a, (uint32_t)i);
    CHECK_STR("265252859812191058636308480000000", text(&a));
    CHECK_INT(0, bignum_div_small(&a, 30));
    CHECK_STR("8841761993739701954543616000000", text(&a));
    bignum_set(&a, 1000000007);
    CHECK_INT(7, bignum_div_small(&a, 1000));
    CHECK_STR("1000000", text(&a));

    prng_init(&p, 9);
    for (i = 0; i < 20000; i++) {
        // (a + b) c = a c + b c, and back again
        draw(&p, &a, prng_below(&p, 25));
        draw(&p, &b, prng_below(&p, 25));
        draw(&p, &c, prng_below(&p, 25));
        bignum_copy(&d, &a);
        bignum_add(&d, &b);
        bignum_mul(&e, &d, &c);
        bignum_sub(&d, &b);
        wrong += bignum_cmp(&d, &a) != 0;
        bignum_mul(&d, &a, &c);
        bignum_copy(&a, &d);
        bignum_mul(&d, &c, &b);
        bignum_add(&d, &a);
        wrong += bignum_cmp(&d, &e) != 0;
    }
    CHECK_INT(0, wrong);
    return check_end();
}
