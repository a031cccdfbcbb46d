#include "prng.h"

void prng_init(prng *p, uint64_t seed)
{
    p->state = seed;
}

uint64_t prng_next(prng *p)
{
    uint64_t z = (p->state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint64_t prng_below(prng *p, uint64_t limit)
{
    // What would favour small remainders is drawn again.
    uint64_t fair = UINT64_MAX - UINT64_MAX % limit;
    uint64_t drawn;

    do
        drawn = prng_next(p);
    while (drawn >= fair);
    return drawn % limit;
}
