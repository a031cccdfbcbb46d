//! Disks of programs.

use std::fs;
use std::process::Command;

use grange_vm_image::{ImageError, ToolFile};

use crate::fixture::Place;

fn tool(place: &Place, path: &str, content: &[u8], mode: u32) -> ToolFile {
    let name = path.replace('/', "-");
    ToolFile {
        path: path.to_owned(),
        source: place.file(&name, content),
        mode,
    }
}

#[test]
fn a_disk_of_tools_is_made_once() {
    let place = Place::new();
    let files = [
        tool(&place, "/bin/agent", b"program", 0o755),
        tool(&place, "/etc/conf", b"text", 0o600),
    ];
    let disk = match place.store.tools_disk(&files) {
        Err(error @ ImageError::NoProgram { .. }) => return eprintln!("skipped: {error}"),
        disk => disk.unwrap(),
    };
    let first = fs::read(&disk).unwrap();
    assert_eq!(place.store.tools_disk(&files).unwrap(), disk);
    let mut reversed = files.clone();
    reversed.reverse();
    assert_eq!(place.store.tools_disk(&reversed).unwrap(), disk);
    // Made anew, it has the same bytes.
    fs::remove_file(&disk).unwrap();
    assert_eq!(place.store.tools_disk(&files).unwrap(), disk);
    assert!(first == fs::read(&disk).unwrap());
    let other = [tool(&place, "/bin/agent", b"program", 0o700)];
    assert_ne!(place.store.tools_disk(&other).unwrap(), disk);

    let output = Command::new("unsquashfs")
        .arg("-lln")
        .arg(&disk)
        .output()
        .unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    let has = |begin: &str, end: &str| {
        let mut lines = listing.lines();
        lines.any(|line| line.starts_with(begin) && line.ends_with(end))
    };
    assert!(
        has("-rwxr-xr-x 0/0", "2006-01-01 00:00 squashfs-root/bin/agent"),
        "{listing}"
    );
    assert!(
        has("-rw------- 0/0", "2006-01-01 00:00 squashfs-root/etc/conf"),
        "{listing}"
    );
    assert!(
        has("drwxr-xr-x 0/0", "2006-01-01 00:00 squashfs-root"),
        "{listing}"
    );
}

#[test]
fn paths_on_it_are_checked() {
    let place = Place::new();
    for paths in [
        &["bin/x"][..],
        &["/../x"],
        &["/"],
        &["/a", "/a"],
        &["/a", "/a/b"],
    ] {
        let files: Vec<_> = paths
            .iter()
            .map(|path| tool(&place, path, b"x", 0o755))
            .collect();
        let error = place.store.tools_disk(&files).unwrap_err();
        assert!(
            matches!(error, ImageError::Path { .. }),
            "{paths:?}: {error}"
        );
    }
}
