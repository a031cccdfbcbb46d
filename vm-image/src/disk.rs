//! What somebody says is a disk: is it one?

mod qcow2;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{ImageError, at};
use crate::store::DiskFormat;

/// What is no disk of ours, but is sometimes taken for one: where, which bytes, what it is.
const OTHERS: &[(u64, &[u8], &str)] = &[
    (0, b"\x1f\x8b", "gzip, which has to be unpacked first"),
    (0, b"BZh", "bzip2, which has to be unpacked first"),
    (0, b"\xfd7zXZ\0", "xz, which has to be unpacked first"),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        "zstd, which has to be unpacked first",
    ),
    (0, b"PK\x03\x04", "a zip archive"),
    (
        0,
        b"KDMV",
        "a VMDK; `qemu-img convert -O qcow2` makes a qcow2 of it",
    ),
    (0, b"# Disk DescriptorFile", "the description of a VMDK"),
    (
        0,
        b"vhdxfile",
        "a VHDX; `qemu-img convert -O qcow2` makes a qcow2 of it",
    ),
    (
        0,
        b"conectix",
        "a VHD; `qemu-img convert -O qcow2` makes a qcow2 of it",
    ),
    (
        64,
        b"\x7f\x10\xda\xbe",
        "a VDI; `qemu-img convert -O qcow2` makes a qcow2 of it",
    ),
    (
        0,
        b"QED\0",
        "a QED; `qemu-img convert -O qcow2` makes a qcow2 of it",
    ),
    (0, b"LUKS\xba\xbe", "encrypted (LUKS)"),
    (0, b"\x7fELF", "a program or kernel"),
    (257, b"ustar", "a tar archive"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
    (
        0x8001,
        b"CD001",
        "an ISO 9660 image, which is a CD and no disk",
    ),
];

/// What makes a raw disk one.
const RAW: &[(u64, &[u8])] = &[
    (510, b"\x55\xaa"),   // master boot record
    (512, b"EFI PART"),   // GUID partition table
    (4096, b"EFI PART"),  // the same, sectors of 4 KiB
    (0x438, b"\x53\xef"), // ext2, 3, 4
    (0, b"XFSB"),
    (0x10040, b"_BHRfS_M"),      // btrfs
    (0, b"hsqs"),                // squashfs
    (1024, b"\xe2\xe1\xf5\xe0"), // erofs
];

/// The format of `path`, if it is one whole disk. `called` is what errors call it.
pub(crate) fn examine(
    path: &Path,
    called: &Path,
    format: Option<DiskFormat>,
) -> Result<DiskFormat, ImageError> {
    let not = |what: String| ImageError::NotAnImage {
        path: called.to_owned(),
        what,
    };
    let mut file = File::open(path).map_err(at("read", path))?;
    let metadata = file.metadata().map_err(at("look at", path))?;
    if !metadata.is_file() {
        return Err(not("no file".to_owned()));
    }
    let mut has = |offset, bytes| has(&mut file, offset, bytes).map_err(at("read", path));
    if has(0, b"QFI\xfb")? {
        if format == Some(DiskFormat::Raw) {
            return Err(not("a qcow2, not raw".to_owned()));
        }
        qcow2::check(&mut file, metadata.len()).map_err(|problem| match problem {
            qcow2::Problem::Bad(what) => not(what),
            qcow2::Problem::Io(error) => at("read", path)(error),
        })?;
        ask_qemu(path, called)?;
        return Ok(DiskFormat::Qcow2);
    }
    for (offset, bytes, what) in OTHERS {
        if has(*offset, bytes)? {
            return Err(not((*what).to_owned()));
        }
    }
    if format == Some(DiskFormat::Qcow2) {
        return Err(not("no qcow2".to_owned()));
    }
    // QEMU would round it up, and a boot loader would find something else at its end.
    if metadata.len() == 0 || metadata.len() % 512 != 0 {
        return Err(not(format!(
            "no raw disk: {} bytes are not some sectors of 512",
            metadata.len()
        )));
    }
    let mut known = format == Some(DiskFormat::Raw);
    for (offset, bytes) in RAW {
        known = known || has(*offset, bytes)?;
    }
    match known {
        true => Ok(DiskFormat::Raw),
        false => Err(not(
            "no disk: neither a qcow2, nor has it a partition table or a known file system"
                .to_owned(),
        )),
    }
}

fn has(file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; bytes.len()];
    file.seek(SeekFrom::Start(offset))?;
    match file.read_exact(&mut found) {
        Ok(()) => Ok(found == bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// `qemu-img check`, where it is installed: it knows what else may be wrong.
fn ask_qemu(path: &Path, called: &Path) -> Result<(), ImageError> {
    let program = Path::new("qemu-img");
    let output = Command::new(program)
        .args(["check", "-f", "qcow2", "--output=json"])
        .arg(path)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at("run", program)(error)),
    };
    let not = |what: String| ImageError::NotAnImage {
        path: called.to_owned(),
        what,
    };
    match output.status.code() {
        // 3: some room in it is not used.
        Some(0 | 3) => Ok(()),
        Some(2) => {
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let count = report["corruptions"].as_u64().unwrap_or(1);
            Err(not(format!(
                "a damaged qcow2: qemu-img finds {count} corruptions"
            )))
        }
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(not(format!(
                "a qcow2 that qemu-img cannot read: {}",
                said.trim()
            )))
        }
    }
}
