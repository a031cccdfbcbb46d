//! The sources in `demo/`, as part of this crate.

/// A file of `demo/`.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    /// Its last name, which is also what its store item is called.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) content: &'static [u8],
}

macro_rules! files {
    ($($folder:literal / $($name:literal),+;)+) => {
        &[$($(File {
            name: $name,
            content: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/", $folder, "/", $name)),
        }),+),+]
    };
}

/// All that derivations use as sources.
pub(super) const SOURCES: &[File] = files! {
    "arena" / "arena.c", "arena.h", "arena_test.c";
    "bignum" / "bignum.c", "bignum.h", "bignum_test.c";
    "brainfuck" / "bfc.c", "hello.bf", "triangle.bf";
    "check" / "check.c", "check.h";
    "codec" / "codec.c", "codec.h", "codec_main.c", "codec_test.c";
    "dates" / "agenda.c", "agenda.json", "cal.c", "dates.c", "dates.h", "dates_test.c";
    "forth" / "collatz.fs", "forth.c", "tests.fs";
    "json" / "json.c", "json.h", "json_main.c", "json_test.c";
    "lz" / "lz.c", "lz.h", "lz_main.c", "lz_test.c";
    "markdown" / "markdown.c", "markdown.h", "markdown_main.c", "markdown_test.c";
    "numbers" / "pi.c", "primes.c";
    "pictures" / "acorn.life", "glider.life", "life.c", "mandelbrot.c";
    "prng" / "prng.c", "prng.h", "prng_test.c";
    "regex" / "regex.c", "regex.h", "regex_test.c";
    "sha256" / "sha256.c", "sha256.h", "sha256_test.c";
    "strbuf" / "strbuf.c", "strbuf.h", "strbuf_test.c";
    "table" / "table.c", "table.h", "table_test.c";
    "text" / "grep.c", "hexdump.c", "sort.c", "sums.c", "words.c";
};

/// The scripts that compile with the seeds.
pub(super) const SEEDS_TOOLS: &[File] =
    files! { "tools/seeds" / "archive", "compile", "link-program"; };

/// The same with the host's compiler.
pub(super) const HOST_TOOLS: &[File] =
    files! { "tools/host" / "archive", "compile", "link-program"; };

/// The scripts that are the same with either.
pub(super) const COMMON_TOOLS: &[File] =
    files! { "tools" / "attempt", "compare", "describe", "unpack"; };

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn walk(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("demo/scripts") {
                continue; // the plan embeds these
            }
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push((
                    path.file_name().unwrap().to_str().unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                ));
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_here() {
        let mut found = Vec::new();
        walk(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("demo"),
            &mut found,
        );
        found.sort();
        let embedded = [SOURCES, SEEDS_TOOLS, HOST_TOOLS, COMMON_TOOLS].concat();
        let mut embedded: Vec<_> = embedded
            .iter()
            .map(|file| (file.name.to_owned(), file.content.to_vec()))
            .collect();
        embedded.sort();
        assert_eq!(found, embedded);
    }

    #[test]
    fn recipes_can_tell_files_by_their_names() {
        let names: BTreeSet<_> = SOURCES.iter().map(|file| file.name).collect();
        assert_eq!(names.len(), SOURCES.len());
    }
}
