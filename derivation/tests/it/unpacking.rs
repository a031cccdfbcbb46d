//! Real files: what is refused, and that nothing is written elsewhere.

use grange_derivation::nar::{self, Encoder, FsError};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::{fs, io};

fn file(contents: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.regular(false, contents.len() as u64).unwrap();
    encoder.data(contents).unwrap();
    encoder.finish().unwrap().0
}

/// Every other read is interrupted by a signal.
struct Interrupted<'a>(&'a [u8], bool);

impl io::Read for Interrupted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.0.read(buffer)
    }
}

#[test]
fn a_signal_does_not_end_it() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("to");
    let nar = file(b"whole");
    nar::unpack(&mut Interrupted(&nar, false), &to).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"whole");
}

#[test]
fn a_source_that_fails_ends_it() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("to");
    match nar::unpack(&mut Broken, &to) {
        Err(FsError::Read(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_written_over_or_through_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (victim, to) = (directory.path().join("victim"), directory.path().join("to"));
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, &to).unwrap();
    for nar in [file(b"evil"), {
        let mut encoder = Encoder::new(Vec::new());
        encoder.directory().unwrap();
        encoder.end_directory().unwrap();
        encoder.finish().unwrap().0
    }] {
        assert!(matches!(
            nar::unpack(&mut nar.as_slice(), &to),
            Err(FsError::File { .. })
        ));
        assert!(matches!(
            nar::unpack(&mut nar.as_slice(), &victim),
            Err(FsError::File { .. })
        ));
    }
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
}

/// The classic attack: a link out of the tree, then a file below its name. Such a nar has the name twice.
#[test]
fn no_entry_is_below_a_link() {
    let strings: [&[u8]; 30] = [
        b"nix-archive-1",
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
        b"a",
        b"node",
        b"(",
        b"type",
        b"symlink",
        b"target",
        b"/tmp",
        b")",
        b")",
        b"entry",
        b"(",
        b"name",
        b"a",
        b"node",
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
        b"x",
        b")",
        b")",
    ];
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend_from_slice(&(string.len() as u64).to_le_bytes());
        bytes.extend_from_slice(string);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let directory = tempfile::tempdir().unwrap();
    let error = nar::unpack(&mut bytes.as_slice(), directory.path().join("to")).unwrap_err();
    assert!(
        matches!(error, FsError::Nar(nar::Error::Order { .. })),
        "{error}"
    );
}

#[test]
fn bytes_after_the_nar_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = [file(b"x"), vec![0]].concat();
    let error = nar::unpack(&mut bytes.as_slice(), directory.path().join("to")).unwrap_err();
    assert!(
        matches!(error, FsError::Nar(nar::Error::Trailing { .. })),
        "{error}"
    );
}

#[test]
fn sockets_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = nar::pack(directory.path(), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is neither a file nor a directory nor a symbolic link",
            socket.display()
        )
    );
}

#[test]
fn only_the_owners_execute_bit_matters() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "x").unwrap();
    let pack = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut bytes = Vec::new();
        nar::pack(&path, &mut bytes).unwrap();
        bytes
    };
    assert_eq!(pack(0o644), pack(0o655));
    assert_eq!(pack(0o744), pack(0o500));
    assert_ne!(pack(0o644), pack(0o744));
}

#[test]
fn large_files_and_many_small_ones_cross_the_buffers() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("from");
    fs::create_dir(&from).unwrap();
    for (at, size) in [0, 1, 262_000, 262_144, 262_145, 1_000_003]
        .into_iter()
        .enumerate()
    {
        let contents: Vec<u8> = (0..size).map(|byte: u32| (byte % 251) as u8).collect();
        fs::write(from.join(format!("large-{at}")), contents).unwrap();
    }
    for at in 0..2000 {
        fs::write(from.join(format!("small-{at}")), at.to_string()).unwrap();
    }
    let mut bytes = Vec::new();
    let size = nar::pack(&from, &mut bytes).unwrap();
    assert_eq!(size, bytes.len() as u64);
    let to = directory.path().join("to");
    nar::unpack(&mut bytes.as_slice(), &to).unwrap();
    assert_eq!(
        nar::digest_path(&to).unwrap(),
        nar::digest_path(&from).unwrap()
    );
    assert!(fs::read(to.join("large-5")).unwrap() == fs::read(from.join("large-5")).unwrap());
}

#[test]
fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing");
    let error = nar::pack(&path, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot look at `{}`", path.display())
    );
}
