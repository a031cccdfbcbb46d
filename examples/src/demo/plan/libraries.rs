//! The libraries, and a test program for each.

use crate::demo::recipe::Recipe;

/// All libraries but the one that fails.
pub(super) const LIBRARIES: [&str; 12] = [
    "check", "arena", "strbuf", "table", "prng", "sha256", "codec", "regex", "json", "lz",
    "bignum", "markdown",
];

/// The tests of libraries.
pub(super) const TESTS: [&str; 11] = [
    "arena-test",
    "strbuf-test",
    "table-test",
    "prng-test",
    "sha256-test",
    "codec-test",
    "regex-test",
    "json-test",
    "lz-test",
    "bignum-test",
    "markdown-test",
];

pub(super) fn recipes() -> Vec<Recipe> {
    vec![
        Recipe::library("check", &["check.c", "check.h"], &[], ""),
        Recipe::library("arena", &["arena.c", "arena.h"], &[], ""),
        Recipe::library("strbuf", &["strbuf.c", "strbuf.h"], &[], ""),
        Recipe::library("prng", &["prng.c", "prng.h"], &[], ""),
        Recipe::library("sha256", &["sha256.c", "sha256.h"], &[], ""),
        Recipe::library("table", &["table.c", "table.h"], &["arena"], ""),
        Recipe::library("codec", &["codec.c", "codec.h"], &["strbuf"], ""),
        Recipe::library("regex", &["regex.c", "regex.h"], &["arena"], ""),
        Recipe::library("json", &["json.c", "json.h"], &["arena", "strbuf"], ""),
        Recipe::library("lz", &["lz.c", "lz.h"], &["strbuf"], ""),
        Recipe::library("bignum", &["bignum.c", "bignum.h"], &["strbuf"], ""),
        Recipe::library("markdown", &["markdown.c", "markdown.h"], &["strbuf"], ""),
        Recipe::test("arena-test", "arena_test.c", &["arena", "check"]),
        Recipe::test("strbuf-test", "strbuf_test.c", &["strbuf", "check"]),
        Recipe::test("table-test", "table_test.c", &["table", "arena", "check"]),
        Recipe::test("prng-test", "prng_test.c", &["prng", "check"]),
        Recipe::test("sha256-test", "sha256_test.c", &["sha256", "check"]),
        Recipe::test(
            "codec-test",
            "codec_test.c",
            &["codec", "strbuf", "prng", "check"],
        ),
        Recipe::test("regex-test", "regex_test.c", &["regex", "arena", "check"]),
        Recipe::test(
            "json-test",
            "json_test.c",
            &["json", "arena", "strbuf", "check"],
        ),
        Recipe::test("lz-test", "lz_test.c", &["lz", "strbuf", "prng", "check"]),
        Recipe::test(
            "bignum-test",
            "bignum_test.c",
            &["bignum", "strbuf", "prng", "check"],
        ),
        Recipe::test(
            "markdown-test",
            "markdown_test.c",
            &["markdown", "strbuf", "prng", "check"],
        ),
    ]
}
