//! The programs.

use crate::demo::recipe::Recipe;

/// All programs but those that use the library that fails.
pub(super) const PROGRAMS: [&str; 15] = [
    "primes",
    "pi",
    "mandelbrot",
    "life",
    "bfc",
    "forth",
    "grep",
    "words",
    "sums",
    "hexdump",
    "sort",
    "codec-tool",
    "json-tool",
    "lz-tool",
    "markdown-tool",
];

pub(super) fn recipes() -> Vec<Recipe> {
    vec![
        Recipe::program("primes", "primes.c", &[]),
        Recipe::program("pi", "pi.c", &["bignum", "strbuf"]),
        Recipe::program("mandelbrot", "mandelbrot.c", &[]),
        Recipe::program("life", "life.c", &["strbuf"]),
        Recipe::program("bfc", "bfc.c", &["strbuf"]),
        Recipe::program("forth", "forth.c", &["table", "arena", "strbuf"]),
        Recipe::program("grep", "grep.c", &["regex", "arena", "strbuf"]),
        Recipe::program("words", "words.c", &["table", "arena", "strbuf"]),
        Recipe::program("sums", "sums.c", &["codec", "sha256", "strbuf"]),
        Recipe::program("hexdump", "hexdump.c", &["strbuf"]),
        Recipe::program("sort", "sort.c", &["strbuf"]),
        Recipe::program("codec-tool", "codec_main.c", &["codec", "strbuf"]),
        Recipe::program("json-tool", "json_main.c", &["json", "arena", "strbuf"]),
        Recipe::program("lz-tool", "lz_main.c", &["lz", "strbuf"]),
        Recipe::program("markdown-tool", "markdown_main.c", &["markdown", "strbuf"]),
    ]
}
