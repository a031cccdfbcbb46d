// # codec
//
// Bytes as text and back: base 16, and base 64 as in RFC 4648.

#ifndef CODEC_H
#define CODEC_H

#include "strbuf.h"

// ## Functions
//
// - `hex_encode`, `base64_encode` append the text of some bytes
// - `hex_decode`, `base64_decode` append the bytes of a text; 0, or -1 if it is none:
//   odd length, foreign characters, wrong padding, bits that should be 0
void hex_encode(strbuf *out, const void *bytes, size_t size);
int hex_decode(strbuf *out, const char *text, size_t size);
void base64_encode(strbuf *out, const void *bytes, size_t size);
int base64_decode(strbuf *out, const char *text, size_t size);

#endif
