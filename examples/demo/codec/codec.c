#include "codec.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(const char *digits, char c)
{
    const char *at = c == 0 ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

void hex_encode(strbuf *out, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    size_t at;

    for (at = 0; at < size; at++) {
        strbuf_char(out, hex_digits[b[at] >> 4]);
        strbuf_char(out, hex_digits[b[at] & 15]);
    }
}

int hex_decode(strbuf *out, const char *text, size_t size)
{
    size_t at;

    if (size % 2 != 0)
        return -1;
    for (at = 0; at < size; at += 2) {
        int high = value_of(hex_digits, text[at]), low = value_of(hex_digits, text[at + 1]);
        if (high < 0 || low < 0)
            return -1;
        strbuf_char(out, high << 4 | low);
    }
    return 0;
}

void base64_encode(strbuf *out, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    size_t at;

    for (at = 0; at < size; at += 3) {
        size_t left = size - at;
        unsigned long bits = (unsigned long)b[at] << 16;
        if (left > 1)
            bits |= (unsigned long)b[at + 1] << 8;
        if (left > 2)
            bits |= b[at + 2];
        strbuf_char(out, base64_digits[bits >> 18]);
        strbuf_char(out, base64_digits[bits >> 12 & 63]);
        strbuf_char(out, left > 1 ? base64_digits[bits >> 6 & 63] : '=');
        strbuf_char(out, left > 2 ? base64_digits[bits & 63] : '=');
    }
}

int base64_decode(strbuf *out, const char *text, size_t size)
{
    size_t at;

    if (size % 4 != 0)
        return -1;
    for (at = 0; at < size; at += 4) {
        unsigned long bits = 0;
        int i, digits = 4;
        if (at + 4 == size)
            while (digits > 2 && text[at + digits - 1] == '=')
                digits--;
        for (i = 0; i < 4; i++) {
            int value = i < digits ? value_of(base64_digits, text[at + i]) : 0;
            if (value < 0)
                return -1;
            bits = bits << 6 | (unsigned long)value;
        }
        if ((digits == 2 && (bits & 0xffff) != 0) || (digits == 3 && (bits & 0xff) != 0))
            return -1;
        strbuf_char(out, (int)(bits >> 16));
        if (digits > 2)
            strbuf_char(out, (int)(bits >> 8 & 255));
        if (digits > 3)
            strbuf_char(out, (int)(bits & 255));
    }
    return 0;
}
