#include "check.h"
#include "prng.h"

int main(void)
{
    prng p;
    long counts[10] = {0};
    long ones = 0;
    int i, digit;

    check_begin("prng");
    prng_init(&p, 0);
    CHECK(prng_next(&p) == 0xe220a8397b1dcdafULL);
    CHECK(prng_next(&p) == 0x6e789e6aa1b965f4ULL);
    prng_init(&p, 2026);
    for (i = 0; i < 10000000; i++)
        counts[prng_below(&p, 10)]++;
    for (digit = 0; digit < 10; digit++)
        CHECK(counts[digit] > 995000 && counts[digit] < 1005000);
    for (i = 0; i < 1000000; i++) {
        uint64_t bits = prng_next(&p);
        for (; bits != 0; bits &= bits - 1)
            ones++;
    }
    CHECK(ones > 31980000 && ones < 32020000);
    return check_end();
}
