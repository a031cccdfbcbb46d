// # lz
//
// A small compressor of the LZ77 kind. What it writes is `LZ1`, the size of the
// content (8 bytes, lowest first), then pieces: a byte below 128 is followed by
// that many literal bytes and one more; any other, `128 + n`, by two bytes that
// say how far back the `n + 4` bytes lie that come next.

#ifndef LZ_H
#define LZ_H

#include "strbuf.h"

// ## Functions
//
// - `lz_compress` appends what the bytes are compressed to
// - `lz_decompress` appends the content; 0, or -1 if it is damaged
void lz_compress(strbuf *out, const void *bytes, size_t size);
int lz_decompress(strbuf *out, const void *bytes, size_t size);

#endif
