//! The emulator's arguments, line by line. `UPDATE_EXPECT=1` writes the files anew.

use std::path::{Path, PathBuf};

use grange_vm::guest_system::GuestSystem;
use grange_vm::machine::Forward;
use grange_vm::qemu::{Accelerator, Boot, Disk, DiskFormat, Launch, Memory, QemuCommand};

fn linux() -> Launch {
    let disk = |file: &str| Disk {
        file: file.into(),
        format: DiskFormat::Raw,
        writable: false,
        volatile: false,
        durable: true,
    };
    Launch {
        name: "past".parse().unwrap(),
        system: GuestSystem::linux_x86_64(),
        cpu: "Westmere".parse().unwrap(),
        cpu_count: 4,
        memory: Memory::Own,
        memory_mib: 2048,
        date: "2020-01-01".parse().unwrap(),
        accelerator: Accelerator::Tcg,
        boot: Boot::Kernel {
            kernel: "/images/1/kernel".into(),
            initrd: Some("/images/1/initrd".into()),
            arguments: "grange.root=/dev/vda:squashfs".into(),
        },
        disks: vec![disk("/images/1/root.squashfs"), disk("/images/tools")],
        vsock: None,
        forwards: vec![Forward::new(11022, 22)],
        network: false,
        directory: "/run/past".into(),
        further: Vec::new(),
    }
}

fn expect(name: &str, launch: &Launch) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let found = format!("{}\n", QemuCommand::new(launch));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert_eq!(found, expected, "{}", file.display());
}

#[test]
fn linux_boots_its_kernel() {
    expect("linux.txt", &linux());
}

#[test]
fn templates_have_their_memory_in_a_file_and_clones_read_it() {
    let mut launch = linux();
    launch.memory = Memory::Template("/templates/1/ram".into());
    expect("template.txt", &launch);
    launch.memory = Memory::Clone("/templates/1/ram".into());
    launch.forwards.clear();
    expect("clone.txt", &launch);
}

#[test]
fn a_machine_with_vsock_is_given_the_device_that_is_open() {
    let mut launch = linux();
    launch.vsock = Some(3);
    expect("vsock.txt", &launch);
}

#[test]
fn the_hurd_boots_by_what_is_on_its_disk() {
    let mut launch = linux();
    launch.system = GuestSystem::hurd_i586();
    launch.cpu = "qemu32".parse().unwrap();
    launch.forwards = launch.system.forwards.clone();
    launch.boot = Boot::Disk;
    launch.disks = vec![Disk {
        file: "/images/hurd.qcow2".into(),
        format: DiskFormat::Qcow2,
        writable: true,
        volatile: true,
        durable: true,
    }];
    launch.network = true;
    expect("hurd.txt", &launch);
}

#[test]
fn odd_names_do_not_become_options() {
    let mut launch = linux();
    launch.accelerator = Accelerator::Kvm;
    launch.directory = PathBuf::from("/a,b c");
    launch.disks.truncate(1);
    launch.disks[0].file = "/it's,readonly=off".into();
    launch.further = vec!["-device".into(), "usb-tablet".into()];
    expect("odd.txt", &launch);
}
