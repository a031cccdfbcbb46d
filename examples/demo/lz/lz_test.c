#include "check.h"
#include "lz.h"
#include "prng.h"

#include <string.h>

int main(void)
{
    prng p;
    strbuf in, small, back;
    int round, wrong = 0;

    check_begin("lz");
    strbuf_init(&in);
    strbuf_init(&small);
    strbuf_init(&back);
    prng_init(&p, 77);
    // From noise (256 letters) to hardly any information (1 letter).
    for (round = 0; round < 300; round++) {
        size_t size = prng_below(&p, 12000);
        unsigned letters = 1u << prng_below(&p, 9);
        strbuf_clear(&in);
        strbuf_clear(&small);
        strbuf_clear(&back);
        while (in.size < size)
            strbuf_char(&in, (int)prng_below(&p, letters));
        lz_compress(&small, in.data, in.size);
        wrong += lz_decompress(&back, small.data, small.size) != 0 || back.size != in.size
              || memcmp(back.data, in.data, in.size) != 0 || small.size > in.size + in.size / 128 + 12;
    }
    CHECK_INT(0, wrong);

    strbuf_clear(&in);
    strbuf_clear(&small);
    for (round = 0; round < 5000; round++)
        strbuf_format(&in, "line %d says that line %d says nothing\n", round, round / 2);
    lz_compress(&small, in.data, in.size);
    CHECK(small.size * 3 < in.size);
    // Damage is found or gives other content, but nothing worse.
    for (round = 0; round < 300; round++) {
        size_t at = prng_below(&p, small.size);
        char was = small.data[at];
        small.data[at] = (char)prng_below(&p, 256);
        strbuf_clear(&back);
        if (lz_decompress(&back, small.data, small.size) == 0)
            wrong += back.size != in.size;
        small.data[at] = was;
    }
    CHECK_INT(0, wrong);
    strbuf_clear(&back);
    CHECK_INT(-1, lz_decompress(&back, small.data, small.size - 1));
    CHECK_INT(-1, lz_decompress(&back, "LZ2", 3));
    return check_end();
}
