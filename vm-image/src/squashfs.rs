//! A tree as a squashfs, by `mksquashfs` of squashfs-tools 4.5 or later.
//!
//! It is told of the tree by a file of "pseudo definitions" with contents behind them (`unsquashfs -pf` writes such
//! files), and so needs no root for owners. Given a tar, version 4.5 would make the uppermost directory belong to
//! whoever runs it: the same recipe would make other bytes for other users.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{ImageError, at};
use crate::spool::Spool;
use crate::tree::{Attributes, Node, Tree};

const PROGRAM: &str = "mksquashfs";

/// What separates definitions from contents.
const DATA: &[u8] = b"#\n# START OF DATA - DO NOT MODIFY\n#\n";

/// Writes `tree` to `target`, no date later than `clamp`. The same tree gives the same bytes. `scratch` is a
/// directory for as many bytes as the tree has.
pub(crate) fn write(
    tree: &Tree,
    spool: &Spool,
    clamp: u64,
    target: &Path,
    scratch: &Path,
) -> Result<(), ImageError> {
    let version = version()?;
    let definitions = scratch.join("definitions");
    File::create(&definitions)
        .and_then(|file| {
            let out = BufWriter::with_capacity(256 << 10, file);
            define(tree, spool, clamp, version, out)
        })
        .map_err(at("write", &definitions))?;
    let output = Command::new(PROGRAM)
        .arg("-")
        .arg(target)
        .arg("-pf")
        .arg(&definitions)
        .args(["-noappend", "-reproducible", "-b", "128K"])
        // A third larger than with zstd; but without KVM the first compilation in a machine takes 3.8 s in place of
        // 5.1 s.
        .args(["-comp", "lz4"])
        .args(["-no-xattrs", "-no-progress", "-quiet", "-exit-on-error"])
        // The date of the file system.
        .env("SOURCE_DATE_EPOCH", clamp.to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(not_run)?;
    fs::remove_file(&definitions).map_err(at("remove", &definitions))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(last_lines(&output.stderr))),
    }
}

/// The version of the program; an error if there is none that will do.
pub(crate) fn version() -> Result<(u32, u32), ImageError> {
    let output = Command::new(PROGRAM)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map_err(not_run)?;
    let text = String::from_utf8_lossy(&output.stdout);
    match parse_version(&text) {
        Some(version) if version >= (4, 5) => Ok(version),
        _ => {
            let first = text.lines().next().unwrap_or_default();
            Err(failed(format!(
                "4.5 or later is needed, and this is {first:?}"
            )))
        }
    }
}

/// Of a line such as `mksquashfs version 4.5.1 (2022/03/17)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("version ")?;
    let mut parts = rest.split(|it: char| !it.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn not_run(error: io::Error) -> ImageError {
    match error.kind() {
        io::ErrorKind::NotFound => ImageError::NoProgram {
            program: PROGRAM.to_owned(),
            package: "squashfs-tools",
        },
        _ => at("run", Path::new(PROGRAM))(error),
    }
}

fn failed(said: String) -> ImageError {
    ImageError::Program {
        program: PROGRAM.to_owned(),
        said,
    }
}

/// The definitions of all entries, then the contents that they lead to.
fn define(
    tree: &Tree,
    spool: &Spool,
    clamp: u64,
    version: (u32, u32),
    mut out: impl Write,
) -> io::Result<()> {
    // Later versions also ask whether a file has holes.
    let holes = if version >= (4, 6) { " 0" } else { "" };
    let common = |kind: char, it: &Attributes| {
        let date = it.mtime.min(clamp);
        format!(" {kind} {date} {:o} {} {}", it.mode, it.uid, it.gid)
    };
    writeln!(out, "/{}", common('D', &Attributes::root(0o755)))?;
    let mut offset = 0;
    for (place, entry) in tree.iter() {
        let attributes = &entry.attributes;
        out.write_all(b"/")?;
        out.write_all(&escaped(place.bytes()))?;
        match &entry.node {
            Node::Directory => writeln!(out, "{}", common('D', attributes))?,
            Node::File(content) => {
                let size = content.size;
                writeln!(out, "{} {size} {offset}{holes}", common('R', attributes))?;
                offset += size;
            }
            Node::Link(target) => {
                write!(out, "{} ", common('S', attributes))?;
                out.write_all(target)?;
                out.write_all(b"\n")?;
            }
        }
    }
    out.write_all(DATA)?;
    for (_, entry) in tree.iter() {
        if let Node::File(content) = &entry.node {
            io::copy(&mut spool.open(*content)?, &mut out)?;
        }
    }
    out.flush()
}

/// A path, so that it is one word.
fn escaped(path: &[u8]) -> Vec<u8> {
    let special = |it: u8| it.is_ascii_whitespace() || matches!(it, b'\x0b' | b'"' | b'\\');
    let mut word = Vec::with_capacity(path.len());
    for &byte in path {
        if special(byte) {
            word.push(b'\\');
        }
        word.push(byte);
    }
    word
}

/// The end of what a program said, as one line.
pub(crate) fn last_lines(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines = text.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|it| !it.is_empty()).collect();
    match lines.len() {
        0 => "nothing".to_owned(),
        count => lines[count.saturating_sub(4)..].join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[test]
    fn each_version_gets_what_it_understands() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(&directory.path().join("spool"), 1 << 20).unwrap();
        let mut tree = Tree::default();
        let mut put = |path: &str, node, mode| {
            let place = Place::plain(path.as_bytes()).unwrap();
            tree.put(place, node, Attributes::root(mode));
        };
        let (one, two) = (
            spool.add_bytes(b"one").unwrap(),
            spool.add_bytes(b"two").unwrap(),
        );
        put("#b \"c\"", Node::File(two), 0o4755);
        put("d", Node::Link(b"to a".to_vec()), 0o777);
        put("e", Node::File(one), 0o644);
        for (version, holes) in [((4, 5), ""), ((4, 6), " 0")] {
            let mut out = Vec::new();
            define(&tree, &spool, 9, version, &mut out).unwrap();
            let expected = format!(
                "/ D 9 755 0 0\n\
                 /#b\\ \\\"c\\\" R 9 4755 0 0 3 0{holes}\n\
                 /d S 9 777 0 0 to a\n\
                 /e R 9 644 0 0 3 3{holes}\n\
                 #\n# START OF DATA - DO NOT MODIFY\n#\ntwoone"
            );
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(
            parse_version("mksquashfs version 4.5.1 (2022/03/17)\n"),
            Some((4, 5))
        );
        assert_eq!(
            parse_version("mksquashfs version 4.10-git\n"),
            Some((4, 10))
        );
        assert_eq!(parse_version("mksquashfs"), None);
    }
}
