// # sha256
//
// SHA-256 as in FIPS 180-4, piece by piece or at once.

#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct sha256 {
    uint32_t state[8];
    uint64_t size;
    uint8_t block[64];
} sha256;

// ## Functions
//
// - `sha256_init`, then `sha256_update` for each piece, then `sha256_final`
// - `sha256_of` for what is in memory as a whole
void sha256_init(sha256 *s);
void sha256_update(sha256 *s, const void *bytes, size_t size);
void sha256_final(sha256 *s, uint8_t digest[32]);
void sha256_of(const void *bytes, size_t size, uint8_t digest[32]);

#endif
