//! What gathers the rest: manuals, reports, a release, the world.

use super::{libraries, programs, results};
use crate::demo::recipe::{Recipe, scripted};

pub(super) fn recipes() -> Vec<Recipe> {
    let tests = [&libraries::TESTS[..], &results::TESTS].concat();
    let documented = [&libraries::LIBRARIES[..], &programs::PROGRAMS].concat();
    vec![
        scripted!("manual")
            .inputs(&["markdown-tool"])
            .list("docs", "doc", &documented),
        scripted!("word-list")
            .inputs(&["words"])
            .list("docs", "doc", &documented),
        scripted!("test-report")
            .inputs(&["json-tool"])
            .list("tests", "out", &tests),
        scripted!("all-libraries")
            .list("archives", "out", &libraries::LIBRARIES)
            .list("headers", "include", &libraries::LIBRARIES),
        scripted!("all-programs").list("programs", "out", &programs::PROGRAMS),
        scripted!("gallery").inputs(&["mandelbrot-picture", "mandelbrot-lz", "acorn", "triangle"]),
        scripted!("release").inputs(&[
            "all-programs",
            "all-libraries",
            "manual",
            "test-report",
            "word-list",
        ]),
        scripted!("world").inputs(&[
            "release",
            "all-programs",
            "all-libraries",
            "manual",
            "gallery",
            "test-report",
            "primes-table",
            "pi-digits",
            "collatz",
            "hello",
        ]),
    ]
}
