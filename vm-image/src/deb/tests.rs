//! Packages made up for the purpose, good and bad.

use std::fs;
use std::io::Write;

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::Merge;
use super::ar::tests::archive;
use crate::error::ImageError;
use crate::place::Place;
use crate::spool::Spool;
use crate::tree::{Node, Tree};

/// An entry of a package: path, type, content or target, mode.
type Made<'a> = (&'a str, EntryType, &'a str, u32);

const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;
const DIRECTORY: EntryType = EntryType::Directory;

/// A tar whose paths nobody has checked.
fn tar(entries: &[Made<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, kind, content, mode) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_600_000_000);
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        let data = match *kind {
            LINK | HARD => {
                header.as_gnu_mut().unwrap().linkname[..content.len()]
                    .copy_from_slice(content.as_bytes());
                ""
            }
            _ => content,
        };
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn package(control: &str, data_name: &str, data: &[u8]) -> Vec<u8> {
    let control = tar(&[("./control", FILE, control, 0o644)]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&control).unwrap();
    archive(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", &gzip.finish().unwrap()),
        (data_name, data),
    ])
}

/// The packages in one tree, and for each file what is in it.
fn merged(packages: &[Vec<u8>]) -> Result<Vec<String>, ImageError> {
    let directory = TempDir::new().unwrap();
    let mut spool = Spool::new(&directory.path().join("spool"), 1 << 20).unwrap();
    let mut merge = Merge::new(Tree::merged(), &mut spool);
    for (index, bytes) in packages.iter().enumerate() {
        let path = directory.path().join(format!("{index}.deb"));
        fs::write(&path, bytes).unwrap();
        merge.add(&path, &|place| place.name() != b"unwanted")?;
    }
    let tree = merge.finish()?;
    let shown = tree.iter().filter(|(_, entry)| entry.package.is_some());
    let shown = shown.map(|(place, entry)| match &entry.node {
        Node::Directory => format!("{place}/"),
        Node::Link(target) => format!("{place} -> {}", String::from_utf8_lossy(target)),
        Node::File(content) => {
            let bytes = spool.read(*content, 1 << 20).unwrap();
            format!("{place}: {}", String::from_utf8_lossy(&bytes))
        }
    });
    Ok(shown.collect())
}

fn plain(entries: &[Made<'_>]) -> Vec<u8> {
    package("Package: a\n", "data.tar", &tar(entries))
}

#[test]
fn each_compression_is_read() {
    let data = tar(&[("./usr/bin/x", FILE, "content", 0o755)]);
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&data).unwrap();
    for (name, data) in [
        ("data.tar", data.clone()),
        ("data.tar.xz", xz.finish().unwrap()),
        ("data.tar.zst", zstd::encode_all(&data[..], 1).unwrap()),
    ] {
        let found = merged(&[package("Package: a\n", name, &data)]).unwrap();
        assert_eq!(found, ["/usr/bin/x: content"], "{name}");
    }
    assert!(merged(&[package("Package: a\n", "data.tar.lzma", b"")]).is_err());
}

#[test]
fn packages_share_directories_and_are_merged_into_usr() {
    let one = plain(&[
        ("./", DIRECTORY, "", 0o755),
        ("./bin/", DIRECTORY, "", 0o755),
        ("./bin/sh", LINK, "dash", 0o777),
        ("./bin/dash", FILE, "dash", 0o4755),
        ("./bin/hard", HARD, "./bin/dash", 0o755),
        ("./usr/share/unwanted", FILE, "x", 0o644),
    ]);
    // Knows of the merge.
    let two = plain(&[
        ("./bin", LINK, "usr/bin", 0o777),
        ("./usr/bin/", DIRECTORY, "", 0o755),
        ("./usr/bin/other", FILE, "other", 0o755),
    ]);
    assert_eq!(
        merged(&[one, two]).unwrap(),
        [
            "/usr/bin/dash: dash",
            "/usr/bin/hard: dash",
            "/usr/bin/other: other",
            "/usr/bin/sh -> dash",
        ]
    );
}

#[test]
fn a_conflict_is_told_unless_it_is_none_or_meant() {
    let with = |control: &str, content: &str| {
        let data = tar(&[("./usr/bin/x", FILE, content, 0o755)]);
        package(control, "data.tar", &data)
    };
    let a = with("Package: a\n", "one");
    assert!(merged(&[a.clone(), with("Package: b\n", "one")]).is_ok());
    let error = merged(&[a.clone(), with("Package: b\n", "two")]).unwrap_err();
    assert_eq!(error.to_string(), "/usr/bin/x is both in a and in b");
    let b = with("Package: b\nReplaces: c, a (<< 2)\n", "two");
    for order in [[a.clone(), b.clone()], [b, a]] {
        assert_eq!(merged(&order).unwrap(), ["/usr/bin/x: two"]);
    }
}

#[test]
fn nothing_gets_out_of_the_tree() {
    for path in ["../x", "./a/../../x", "/etc/passwd"] {
        let error = merged(&[plain(&[(path, FILE, "x", 0o644)])]).unwrap_err();
        assert!(matches!(error, ImageError::BadPackage { .. }), "{error}");
    }
    // A link may lead anywhere, but nothing is put where it leads.
    let through = plain(&[
        ("./a", LINK, "/etc", 0o777),
        ("./a/passwd", FILE, "x", 0o644),
    ]);
    assert!(merged(&[through]).is_err());
    let hard = plain(&[("./a", HARD, "/etc/passwd", 0o644)]);
    assert!(merged(&[hard]).is_err());
    let hard = plain(&[("./a", HARD, "./nothing", 0o644)]);
    assert!(merged(&[hard]).is_err());
}

#[test]
fn devices_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        assert!(merged(&[plain(&[("./dev/x", kind, "", 0o666)])]).is_err());
    }
}

#[test]
fn sizes_that_are_lies_end() {
    let mut header = Header::new_gnu();
    header.set_path("x").unwrap();
    header.set_mode(0o644);
    header.set_size(1 << 60);
    header.set_cksum();
    let lie = package("Package: a\n", "data.tar", header.as_bytes());
    assert!(merged(&[lie]).is_err());
    // More than the spool may hold.
    let zeros = "0".repeat(2 << 20);
    let bomb = zstd::encode_all(&tar(&[("./x", FILE, &zeros, 0o644)])[..], 1).unwrap();
    let error = merged(&[package("Package: a\n", "data.tar.zst", &bomb)]).unwrap_err();
    assert!(
        error.to_string().contains("more than 1048576 bytes"),
        "{error}"
    );
}

#[test]
fn a_part_of_a_package_is_none() {
    let whole = plain(&[("./x", FILE, "content", 0o644)]);
    for end in [0, 7, 60, 200, whole.len() - 1400] {
        assert!(merged(&[whole[..end].to_vec()]).is_err(), "{end}");
    }
    assert!(merged(&[b"PK\x03\x04 something else".to_vec()]).is_err());
    let missing = archive(&[("debian-binary", b"2.0\n")]);
    assert!(merged(&[missing]).is_err());
}

#[test]
fn owners_modes_and_dates_are_kept() {
    let directory = TempDir::new().unwrap();
    let mut spool = Spool::new(&directory.path().join("spool"), 1 << 20).unwrap();
    let mut merge = Merge::new(Tree::default(), &mut spool);
    let path = directory.path().join("a.deb");
    fs::write(&path, plain(&[("./x", FILE, "", 0o2755)])).unwrap();
    merge.add(&path, &|_| true).unwrap();
    let tree = merge.finish().unwrap();
    let found = tree
        .get(&Place::absolute("/x").unwrap())
        .unwrap()
        .attributes;
    assert_eq!((found.mode, found.uid, found.gid), (0o2755, 7, 8));
    assert_eq!(found.mtime, 1_600_000_000);
}
