//! What the programs compute, and tests that run them.

use crate::demo::recipe::{Recipe, scripted};

/// Tests of programs; each output is a report whose last line says what was found.
pub(super) const TESTS: [&str; 8] = [
    "forth-test",
    "hello-test",
    "life-test",
    "grep-test",
    "sums-test",
    "sort-test",
    "codec-tool-test",
    "hexdump-test",
];

/// SHA-256 of the first 200,000 primes, one per line.
const PRIMES: &str = "32cf8f563ccc8cba93592c3aa54a0131481264f90e4366dd9e486447f52fa5bc";

pub(super) fn recipes() -> Vec<Recipe> {
    vec![
        scripted!("primes-table").inputs(&["primes"]).fixed(PRIMES),
        scripted!("pi-machin").inputs(&["pi"]),
        scripted!("pi-gauss").inputs(&["pi"]),
        scripted!("pi-digits").inputs(&["pi-machin", "pi-gauss"]),
        scripted!("mandelbrot-picture").inputs(&["mandelbrot"]),
        scripted!("mandelbrot-lz").inputs(&["lz-tool", "mandelbrot-picture"]),
        scripted!("acorn").inputs(&["life"]).files(&["acorn.life"]),
        scripted!("collatz")
            .inputs(&["forth"])
            .files(&["collatz.fs"]),
        scripted!("hello-source")
            .inputs(&["bfc"])
            .files(&["hello.bf"]),
        scripted!("triangle-source")
            .inputs(&["bfc"])
            .files(&["triangle.bf"]),
        Recipe::generated("hello", "hello-source"),
        Recipe::generated("triangle", "triangle-source"),
        scripted!("forth-test")
            .inputs(&["forth", "grep"])
            .files(&["tests.fs"]),
        scripted!("hello-test").inputs(&["hello", "triangle"]),
        scripted!("life-test")
            .inputs(&["life"])
            .files(&["glider.life"]),
        scripted!("grep-test").inputs(&["grep"]).files(&["grep.c"]),
        scripted!("sums-test").inputs(&["sums"]).files(&["sums.c"]),
        scripted!("sort-test").inputs(&["sort"]),
        scripted!("codec-tool-test").inputs(&["codec-tool", "primes-table"]),
        scripted!("hexdump-test").inputs(&["hexdump"]),
    ]
}
