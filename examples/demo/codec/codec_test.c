#include "check.h"
#include "codec.h"
#include "prng.h"

#include <string.h>

static strbuf out;

static const char *encoded(const char *text)
{
    strbuf_clear(&out);
    base64_encode(&out, text, strlen(text));
    return out.data;
}

static int decoded(const char *text)
{
    strbuf_clear(&out);
    return base64_decode(&out, text, strlen(text));
}

int main(void)
{
    prng p;
    strbuf bytes, back;
    int round, wrong = 0;

    check_begin("codec");
    strbuf_init(&out);
    strbuf_init(&bytes);
    strbuf_init(&back);
    // The vectors of RFC 4648.
    CHECK_STR("", encoded(""));
    CHECK_STR("Zg==", encoded("f"));
    CHECK_STR("Zm8=", encoded("fo"));
    CHECK_STR("Zm9v", encoded("foo"));
    CHECK_STR("Zm9vYg==", encoded("foob"));
    CHECK_STR("Zm9vYmE=", encoded("fooba"));
    CHECK_STR("Zm9vYmFy", encoded("foobar"));
    CHECK_INT(0, decoded("Zm9vYmE="));
    CHECK_STR("fooba", out.data);
    CHECK_INT(-1, decoded("Zm9"));
    CHECK_INT(-1, decoded("Zm9vYmF="));
    CHECK_INT(-1, decoded("Z==="));
    CHECK_INT(-1, decoded("Zg==Zg=="));
    CHECK_INT(-1, decoded("Zm9*"));
    strbuf_clear(&out);
    CHECK_INT(-1, hex_decode(&out, "0G", 2));
    CHECK_INT(-1, hex_decode(&out, "012", 3));

    prng_init(&p, 4648);
    for (round = 0; round < 8000; round++) {
        size_t size = prng_below(&p, 300);
        strbuf_clear(&bytes);
        while (bytes.size < size)
            strbuf_char(&bytes, (int)prng_below(&p, 256));
        strbuf_clear(&out);
        strbuf_clear(&back);
        base64_encode(&out, bytes.data, bytes.size);
        wrong += base64_decode(&back, out.data, out.size) != 0 || back.size != size
              || memcmp(back.data, bytes.data, size) != 0;
        strbuf_clear(&out);
        strbuf_clear(&back);
        hex_encode(&out, bytes.data, bytes.size);
        wrong += hex_decode(&back, out.data, out.size) != 0 || back.size != size
              || memcmp(back.data, bytes.data, size) != 0;
    }
    CHECK_INT(0, wrong);
    return check_end();
}
