// primes COUNT: the first primes, one per line, by a segmented sieve.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT = 1 << 16, SMALL = 1 << 16 };

int main(int argc, char **argv)
{
    static unsigned char composite[SEGMENT];
    static unsigned small[7000], next[7000];
    static unsigned char sieve[SMALL];
    long left = argc > 1 ? atol(argv[1]) : 100;
    unsigned long low;
    unsigned count = 0, i, j;

    for (i = 2; i < SMALL; i++) {
        if (sieve[i])
            continue;
        small[count++] = i;
        for (j = i; j < SMALL; j += i)
            sieve[j] = 1;
    }
    for (i = 0; i < count; i++)
        next[i] = small[i] * 2;
    // Small primes suffice below 2^32, far beyond what anybody waits for.
    for (low = 0; left > 0; low += SEGMENT) {
        memset(composite, 0, sizeof composite);
        for (i = 0; i < count && (unsigned long)small[i] * small[i] < low + SEGMENT; i++) {
            for (j = next[i]; j < SEGMENT; j += small[i])
                composite[j] = 1;
            next[i] = j - SEGMENT;
        }
        for (; i < count; i++) {
            unsigned long first = low + SEGMENT;
            next[i] = (unsigned)((small[i] - first % small[i]) % small[i]);
        }
        for (i = low == 0 ? 2 : 0; i < SEGMENT && left > 0; i++)
            if (!composite[i]) {
                printf("%lu\n", low + i);
                left--;
            }
    }
    return 0;
}
