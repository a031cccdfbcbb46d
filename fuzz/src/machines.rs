//! What users write of virtual build machines, and the disks that they take from others.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use grange_vm::image::BootImage;
use grange_vm::machine::VirtualBuildMachine;
use grange_vm::qemu::{Accelerator, Boot, Disk, DiskFormat, Emulator, Launch, Memory, QemuCommand};
use grange_vm::run::{Channel, Plan, PlannedDisk};
use grange_vm::traps::{Catalogue, Package};
use grange_vm_image::{ImageStore, ImportOptions, Recipe};

use crate::formats::Scratch;

/// Options that have no value.
const FLAGS: &[&str] = &["-nodefaults", "-no-user-config", "-no-reboot"];
/// Options whose value is not made of properties.
const PLAIN: &[&str] = &[
    "-display",
    "-kernel",
    "-initrd",
    "-append",
    "-serial",
    "-incoming",
    "-cpu",
];
/// All other options, and the properties that their values may have.
const PROPERTIES: &[(&str, &[&str])] = &[
    ("-name", &[]),
    (
        "-sandbox",
        &["obsolete", "elevateprivileges", "spawn", "resourcecontrol"],
    ),
    ("-rtc", &["base", "clock"]),
    ("-machine", &["memory-backend"]),
    ("-accel", &["thread"]),
    ("-smp", &["cpus"]),
    ("-m", &[]),
    ("-object", &["id", "size", "share", "mem-path", "filename"]),
    (
        "-drive",
        &[
            "if", "id", "format", "readonly", "snapshot", "cache", "werror", "rerror", "file",
        ],
    ),
    (
        "-device",
        &[
            "drive", "chardev", "name", "netdev", "romfile", "rng", "guid",
        ],
    ),
    ("-chardev", &["id", "path", "server", "wait"]),
    ("-mon", &["chardev", "mode"]),
    ("-netdev", &["id", "restrict", "hostfwd"]),
];

/// A machine that can be is started with the options that are meant, whatever its strings say. Its image's name is made part of each path.
pub(crate) fn machine(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let machine = match toml::from_str::<VirtualBuildMachine>(text) {
        Ok(machine) => machine,
        Err(error) => return assert!(!error.message().is_empty(), "an error says something"),
    };
    let printed = toml::to_string(&machine).expect("what was read can be printed");
    let again = toml::from_str(&printed);
    assert_eq!(again.as_ref(), Ok(&machine), "what is printed is read");
    if let Err(error) = machine.check() {
        return assert!(!error.to_string().is_empty(), "an error says something");
    }
    let place = PathBuf::from(format!("/images/{}", machine.image));
    for memory in [
        Memory::Own,
        Memory::Template(place.join("ram")),
        Memory::Clone(place.join("ram")),
    ] {
        let launch = plan(&machine, &place).launch(&place.join("run"), memory);
        let launch = launch.expect("a machine that can be is launched");
        check_command(&launch, &place);
    }
}

fn plan(machine: &VirtualBuildMachine, place: &Path) -> Plan {
    let disk = Disk {
        file: place.join("root"),
        format: DiskFormat::Raw,
        writable: false,
        volatile: false,
        durable: true,
    };
    let image = BootImage {
        id: "id".into(),
        boot: Boot::Kernel {
            kernel: machine
                .kernel
                .clone()
                .unwrap_or_else(|| place.join("kernel")),
            initrd: Some(place.join("initrd")),
            arguments: machine.image.clone(),
        },
        disks: vec![disk],
        has_guest: true,
    };
    let system = machine.guest_system().expect("a machine that can be");
    Plan {
        forwards: machine.forwards(&system),
        machine: machine.clone(),
        image: image.with_tools(&place.join("tools")),
        emulator: Emulator {
            program: "/usr/bin/qemu".into(),
            version: "7.2".into(),
        },
        accelerator: Accelerator::Tcg,
        channel: Channel::Serial,
        // None where this machine has nothing to make it with.
        disk: machine
            .disk_size
            .and_then(|size| PlannedDisk::find(size, &[]).ok()),
        network: false,
        user: None,
        further: Vec::new(),
    }
}

/// Reads it as QEMU does.
fn check_command(launch: &Launch, place: &Path) {
    let command = QemuCommand::new(launch);
    assert!(!command.to_string().is_empty(), "it can be shown");
    let mut paths = BTreeSet::new();
    let mut arguments = command.arguments.iter().map(|one| one.as_bytes());
    while let Some(option) = arguments.next() {
        let option = std::str::from_utf8(option).expect("an option is no user's");
        if FLAGS.contains(&option) {
            continue;
        }
        let value = arguments.next().expect("an option has a value");
        if PLAIN.contains(&option) {
            continue;
        }
        let known = PROPERTIES.iter().find(|(name, _)| *name == option);
        let (_, known) = known.unwrap_or_else(|| panic!("{option} was not meant"));
        for (index, property) in split(value).into_iter().enumerate() {
            let mut halves = property.splitn(2, |byte| *byte == b'=');
            let key = halves.next().unwrap_or_default();
            let Some(value) = halves.next() else {
                // What stands first is what it is, such as a device.
                assert_eq!(index, 0, "{option} has {property:?}");
                continue;
            };
            let key = std::str::from_utf8(key).expect("a property is no user's");
            assert!(known.contains(&key), "{option} has a property {key}");
            if matches!(key, "path" | "file" | "mem-path") {
                paths.insert(value.to_vec());
            }
        }
    }
    let mut expected: Vec<PathBuf> = ["root", "tools"].map(|name| place.join(name)).into();
    expected.extend(["qmp", "console"].map(|name| place.join("run").join(name)));
    if launch.memory != Memory::Own {
        expected.push(place.join("ram"));
    }
    for path in expected {
        let bytes = path.as_os_str().as_bytes();
        assert!(paths.contains(bytes), "{} is not there", path.display());
    }
}

/// Properties of a value: two commas are one of a property (QEMU's `docs/system/invocation`, "-drive").
fn split(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let is_end = byte == b',' && bytes.next_if_eq(&b',').is_none();
        match all.last_mut() {
            Some(last) if !is_end => last.push(byte),
            _ => all.push(Vec::new()),
        }
    }
    all
}

/// What is printed is read as the same; each package has an environment, or it is said why not.
pub(crate) fn traps(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let catalogue = match Catalogue::read(text) {
        Ok(catalogue) => catalogue,
        Err(error) => return assert!(!error.to_string().is_empty(), "an error says something"),
    };
    let printed = toml::to_string(&BTreeMap::from([("trap", catalogue.traps())]));
    let printed = printed.expect("what was read can be printed");
    let again = Catalogue::read(&printed);
    assert_eq!(again.as_ref(), Ok(&catalogue), "what is printed is read");
    for trap in catalogue.traps() {
        let bounds = [&trap.from, &trap.until].into_iter().flatten();
        for version in bounds.map(String::as_str).chain([""]) {
            let package = Package {
                name: trap.package.replace('*', "-"),
                version: version.to_owned(),
            };
            let _ = Package::of(&package.to_string());
            let now = trap.expires.map_or(0, |date| date.unix_seconds());
            let catching = catalogue.catching(&package, now).count();
            match catalogue.environment(&package, now) {
                Ok(environment) => assert_eq!(environment.is_any(), catching == 0),
                Err(error) => assert!(!error.to_string().is_empty(), "an error says something"),
            }
        }
    }
}

pub(crate) fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let checked = Recipe::from_toml(text).and_then(|recipe| recipe.check().map(|()| recipe));
    match checked {
        Ok(recipe) => {
            for file in &recipe.files {
                assert!(file.path.starts_with('/') && !file.path.contains("/../"));
            }
            let options = recipe.packages.iter().chain([&recipe.kernel]);
            for package in options {
                assert!(!package.starts_with('-'), "{package} is an option of apt's");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error says something"),
    }
}

/// A disk is taken as it is, or it is said why not.
pub(crate) fn disk(bytes: &[u8]) {
    let scratch = Scratch::directory();
    let store = ImageStore::open(scratch.path().join("store")).expect("there is room for a store");
    let file = scratch.path().join("disk");
    std::fs::write(&file, bytes).expect("there is room for a file");
    let name = "disk".parse().expect("it is a name");
    match store.import(&file, &ImportOptions::new(name)) {
        Ok(image) => {
            let disk = image.disk().expect("it has a disk");
            let copied = std::fs::read(disk).expect("it was just written");
            assert_eq!(copied, bytes, "a disk is copied as it is");
            assert!(store.verify(&image).is_ok(), "it is what was written");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error says something");
            let list = store.list().expect("it can be read");
            assert!(list.is_empty(), "what is refused leaves nothing");
        }
    }
}
