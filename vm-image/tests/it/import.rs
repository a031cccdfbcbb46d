//! Disks of others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use grange_interfaces::Fault;
use grange_vm_image::{Contents, DiskFormat, ImageError, ImportOptions};

use crate::fixture::{Place, raw, static_program};

fn options() -> ImportOptions {
    ImportOptions::new("it".parse().unwrap())
}

fn refused(place: &Place, path: &Path, options: &ImportOptions) -> String {
    let error = place.store.import(path, options).unwrap_err();
    assert!(matches!(error, ImageError::NotAnImage { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Caller);
    error.to_string()
}

/// A qcow2 made by hand: header, one table of tables, one table, one cluster of 64 KiB.
fn qcow2(edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let cluster = 65_536_u64;
    let mut bytes = vec![0; 6 * 65_536];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &cluster.to_be_bytes()); // virtual size
    put(36, &1_u32.to_be_bytes());
    put(40, &(3 * cluster).to_be_bytes()); // L1
    put(48, &cluster.to_be_bytes()); // reference counts
    put(56, &1_u32.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    let at = |cluster_index: u64| usize::try_from(cluster_index * cluster).unwrap();
    put(at(1), &(2 * cluster).to_be_bytes());
    for index in 0..6 {
        put(at(2) + 2 * index, &1_u16.to_be_bytes());
    }
    let copied = 1_u64 << 63;
    put(at(3), &(copied | (4 * cluster)).to_be_bytes());
    put(at(4), &(copied | (5 * cluster)).to_be_bytes());
    put(at(5), b"content");
    edit(&mut bytes);
    bytes
}

#[test]
fn a_raw_disk_is_taken_as_it_is_and_what_is_zero_takes_no_room() {
    let place = Place::new();
    let image = place.imported("it", 7);
    assert_eq!(image.contents(), Contents::Raw);
    let disk = image.disk().unwrap();
    assert_eq!(fs::read(&disk).unwrap(), raw(7));
    assert!(fs::metadata(&disk).unwrap().blocks() * 512 < 256 * 1024);
    assert_eq!(image.kernel(), None);
}

#[test]
fn a_kernel_can_come_with_it() {
    let place = Place::new();
    let mut options = options();
    options.kernel = Some(place.file("vmlinuz", &static_program()));
    options.initrd = Some(place.file("initrd", b"cpio"));
    options.arguments = "root=/dev/vda1".to_owned();
    let image = place
        .store
        .import(&place.file("disk", &raw(1)), &options)
        .unwrap();
    assert_eq!(fs::read(image.kernel().unwrap()).unwrap(), static_program());
    assert_eq!(fs::read(image.initrd().unwrap()).unwrap(), b"cpio");
    assert_eq!(image.packed_kernel(), image.kernel());
    assert_eq!(image.manifest().arguments, "root=/dev/vda1");
    options.kernel = None;
    assert!(refused(&place, &place.file("disk", &raw(1)), &options).contains("no kernel"));
}

#[test]
fn a_whole_qcow2_is_taken() {
    let place = Place::new();
    let image = place
        .store
        .import(&place.file("disk", &qcow2(|_| ())), &options())
        .unwrap();
    assert_eq!(image.contents(), Contents::Qcow2);
    assert!(image.disk().unwrap().ends_with("disk.qcow2"));
}

#[test]
fn a_qcow2_that_is_not_all_is_refused() {
    let put = |at: usize, value: &'static [u8]| {
        qcow2(move |bytes| bytes[at..at + value.len()].copy_from_slice(value))
    };
    let backed = qcow2(|bytes| {
        bytes[8..16].copy_from_slice(&200_u64.to_be_bytes());
        bytes[16..20].copy_from_slice(&11_u32.to_be_bytes());
        bytes[200..211].copy_from_slice(b"/etc/shadow");
    });
    for (bytes, told) in [
        (backed, "\"/etc/shadow\""),
        (put(79, b"\x04"), "in another file"),
        (put(79, b"\x02"), "marked as damaged"),
        (put(72, b"\x01"), "later QEMU"),
        (put(35, b"\x01"), "encrypted"),
        (put(7, b"\x09"), "version 9"),
        (put(23, b"\x40"), "size of clusters"),
        (put(24, b"\x00\xff"), "has not the size"),
        (put(40, b"\xff"), "ends early"),
        (qcow2(|_| ())[..5 * 65_536].to_vec(), "ends early"),
        (qcow2(|_| ())[..4 * 65_536].to_vec(), "ends early"),
        (qcow2(|_| ())[..50].to_vec(), "ends early"),
    ] {
        let place = Place::new();
        let error = refused(&place, &place.file("disk", &bytes), &options());
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_is_sometimes_taken_for_a_disk_is_told() {
    let place = Place::new();
    let mut iso = raw(1);
    iso[0x8001..0x8006].copy_from_slice(b"CD001");
    let with = |begin: &[u8]| [begin, &raw(1)[begin.len()..]].concat();
    for (bytes, told) in [
        (with(b"\x1f\x8b\x08"), "gzip"),
        (with(b"\xfd7zXZ\0"), "xz"),
        (with(b"KDMV"), "VMDK"),
        (with(b"vhdxfile"), "VHDX"),
        (iso, "ISO 9660"),
        (with(b"<!DOCTYPE html>"), "web page"),
        (static_program(), "program"),
        (raw(1)[..1000].to_vec(), "sectors of 512"),
        (Vec::new(), "sectors of 512"),
        (vec![0; 1 << 20], "neither a qcow2"),
    ] {
        let error = refused(&place, &place.file("disk", &bytes), &options());
        assert!(error.contains(told), "{error}");
    }
    let directory = place.directory.path().to_owned();
    assert!(refused(&place, &directory, &options()).contains("no file"));
}

#[test]
fn a_format_that_is_said_has_to_be_right() {
    let place = Place::new();
    let said = |format| {
        let mut options = options();
        options.format = Some(format);
        options
    };
    let zeros = place.file("zeros", &vec![0; 1 << 20]);
    place.store.import(&zeros, &said(DiskFormat::Raw)).unwrap();
    assert!(refused(&place, &zeros, &said(DiskFormat::Qcow2)).contains("no qcow2"));
    let qcow2 = place.file("qcow2", &qcow2(|_| ()));
    assert!(refused(&place, &qcow2, &said(DiskFormat::Raw)).contains("not raw"));
}

#[test]
fn what_qemu_makes_is_taken_and_a_part_of_it_is_not() {
    let place = Place::new();
    let source = place.file("source", &raw(1));
    let made = |name: &str, arguments: &[&str]| -> Option<PathBuf> {
        let target = place.directory.path().join(name);
        let status = Command::new("qemu-img")
            .args(arguments)
            .arg(&source)
            .arg(&target)
            .status();
        status.ok().map(|status| {
            assert!(status.success());
            target
        })
    };
    let Some(plain) = made("plain", &["convert", "-f", "raw", "-O", "qcow2"]) else {
        return eprintln!("skipped: qemu-img is not installed");
    };
    let packed = made("packed", &["convert", "-c", "-f", "raw", "-O", "qcow2"]).unwrap();
    let wide = [
        "convert",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "-o",
        "extended_l2=on",
    ];
    let wide = made("wide", &wide).unwrap();
    for path in [plain, packed, wide] {
        place.store.import(&path, &options()).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() * 3 / 4]).unwrap();
        assert!(
            place.store.import(&path, &options()).is_err(),
            "{}",
            path.display()
        );
    }
    let vmdk = made("vmdk", &["convert", "-f", "raw", "-O", "vmdk"]).unwrap();
    assert!(refused(&place, &vmdk, &options()).contains("VMDK"));
}
