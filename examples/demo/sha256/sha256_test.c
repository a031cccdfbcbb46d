#include "check.h"
#include "sha256.h"

#include <stdio.h>
#include <string.h>

static const char *hex(const uint8_t digest[32])
{
    static char text[65];
    int i;

    for (i = 0; i < 32; i++)
        sprintf(text + 2 * i, "%02x", digest[i]);
    return text;
}

int main(void)
{
    static char letters[1000];
    uint8_t digest[32];
    sha256 s;
    int i;

    check_begin("sha256");
    // The examples of FIPS 180-4.
    sha256_of("", 0, digest);
    CHECK_STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", hex(digest));
    sha256_of("abc", 3, digest);
    CHECK_STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex(digest));
    sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, digest);
    CHECK_STR("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", hex(digest));
    memset(letters, 'a', sizeof letters);
    sha256_init(&s);
    for (i = 0; i < 1000; i++)
        sha256_update(&s, letters, sizeof letters);
    sha256_final(&s, digest);
    CHECK_STR("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", hex(digest));
    // 2^22 zeros, piece by piece.
    memset(letters, 0, sizeof letters);
    sha256_init(&s);
    for (i = 0; i < 1 << 12; i++) {
        sha256_update(&s, letters, 1000);
        sha256_update(&s, letters, 24);
    }
    sha256_final(&s, digest);
    CHECK_STR("bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8", hex(digest));
    // Pieces of any size give the same.
    for (i = 1; i < 200; i++) {
        uint8_t piecewise[32];
        int at;
        sha256_of(letters, 900, digest);
        sha256_init(&s);
        for (at = 0; at < 900; at += i)
            sha256_update(&s, letters + at, (size_t)(at + i < 900 ? i : 900 - at));
        sha256_final(&s, piecewise);
        CHECK_MEM(digest, piecewise, 32);
    }
    return check_end();
}
