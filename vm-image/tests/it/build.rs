//! A small image of real packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use grange_interfaces::Fault;
use grange_vm_image::{
    BuildOptions, Contents, Event, ExtraFile, Image, ImageError, ImageStore, Lists, Recipe,
};

use crate::fixture::{Place, static_program};

/// The kernel for machines of others, which is a quarter of the full one, and a root of one program.
fn recipe(place: &Place) -> Recipe {
    let mut recipe = Recipe::debian("small".parse().unwrap());
    recipe.kernel = "linux-image-cloud-amd64".to_owned();
    recipe.packages = ["base-files", "busybox-static"].map(str::to_owned).to_vec();
    recipe.modules = ["virtio_blk", "squashfs", "overlay"]
        .map(str::to_owned)
        .to_vec();
    recipe.guest = Some(place.file("guest", &static_program()));
    recipe.files = vec![ExtraFile {
        path: "/etc/motd".to_owned(),
        source: place.file("motd", b"hello\n"),
        mode: 0o640,
        uid: 3,
        gid: 4,
    }];
    recipe
}

/// Packages that were fetched stay from one run to the next.
fn store() -> ImageStore {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("vm-image");
    for name in ["images", "keys", "names"] {
        drop(fs::remove_dir_all(directory.join(name)));
    }
    ImageStore::open(directory).unwrap()
}

/// Builds, or says why that cannot be tried here.
fn built(store: &ImageStore, recipe: &Recipe, events: &mut Vec<Event>) -> Option<Image> {
    let result = store.build(recipe, &BuildOptions::default(), &mut |event| {
        events.push(event)
    });
    match result {
        Ok(image) => Some(image),
        Err(
            error @ (ImageError::NoProgram { .. }
            | ImageError::NotFetched { .. }
            | ImageError::UnknownPackage { .. }),
        ) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn said(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn packages_become_an_image_and_the_same_ones_the_same() {
    let place = Place::new();
    let store = store();
    let mut recipe = recipe(&place);
    let mut events = Vec::new();
    let Some(image) = built(&store, &recipe, &mut events) else {
        return;
    };
    assert_eq!(
        events.last(),
        Some(&Event::Done {
            id: image.id(),
            reused: false
        })
    );
    let warned = events.iter().filter(|it| matches!(it, Event::Warning(_)));
    assert_eq!(
        warned.count(),
        1,
        "this kernel does not know of copies: {events:?}"
    );
    look_at(&image);

    // Known by what it is made of, whatever its name.
    recipe.name = "other".parse().unwrap();
    let mut events = Vec::new();
    let again = built(&store, &recipe, &mut events).unwrap();
    assert_eq!(
        events.last(),
        Some(&Event::Done {
            id: image.id(),
            reused: true
        })
    );
    assert_eq!(store.resolve("other").unwrap().id(), again.id());

    // Forgotten and made anew, it is the same byte for byte: its id is that of all its bytes.
    for name in ["images", "keys", "names"] {
        fs::remove_dir_all(store.directory().join(name)).unwrap();
    }
    let store = ImageStore::open(store.directory()).unwrap();
    let again = built(&store, &recipe, &mut Vec::new()).unwrap();
    assert_eq!(again.id(), image.id());
    store.verify(&again).unwrap();
}

fn look_at(image: &Image) {
    assert_eq!(image.contents(), Contents::Root);
    let manifest = image.manifest();
    let kernel = manifest.kernel.as_ref().unwrap();
    assert!(kernel.uncompressed && !kernel.knows_copies && kernel.release.contains("cloud"));
    assert!(
        fs::read(image.kernel().unwrap())
            .unwrap()
            .starts_with(b"\x7fELF")
    );
    assert_eq!(
        &fs::read(image.packed_kernel().unwrap()).unwrap()[0x202..0x206],
        b"HdrS"
    );
    let names: Vec<_> = manifest
        .packages
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert!(
        names.contains(&"busybox-static") && names.is_sorted(),
        "{names:?}"
    );
    assert!(manifest.packages.iter().all(|it| it.sha256.len() == 64));

    let initrd = fs::read(image.initrd().unwrap()).unwrap();
    let text = String::from_utf8_lossy(&initrd);
    let at = |module: &str| text.find(&format!("/lib/modules/{module}.ko\n")).unwrap();
    // What it needs comes before it. Which of the two needs the other differs between kernels.
    assert!(at("virtio") < at("virtio_blk") && at("virtio_ring") < at("virtio_blk"));

    let disk = image.disk().unwrap();
    let listing = said("unsquashfs", &["-lln"], &disk);
    let line = |path: &str| {
        let end = format!(" squashfs-root{path}");
        let mut lines = listing.lines();
        lines
            .find(|line| line.ends_with(&end))
            .unwrap_or_else(|| panic!("{path}: {listing}"))
    };
    assert!(line("/usr/bin/busybox").starts_with("-rwxr-xr-x 0/0"));
    assert!(line("/etc/motd").starts_with("-rw-r----- 3/4"));
    assert!(line("/etc/shadow").starts_with("-rw-r----- 0/42"));
    assert!(line("/tmp").starts_with("drwxrwxrwt 0/0"));
    assert!(line("/home/offloading").starts_with("drwxr-xr-x 1000/1000"));
    assert!(line("/bin -> usr/bin").starts_with('l'));
    assert!(line("/usr/bin/sh -> busybox").starts_with('l'));
    assert!(!listing.contains("/usr/share/man/"));
    // No file is from after the clamp.
    // Permissions, owner, size, date, time, path.
    let dates = listing
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(3));
    assert!(dates.clone().count() > 100);
    assert!(dates.max().unwrap() <= "2006-01-01");
}

#[test]
fn a_recipe_that_cannot_be_followed_says_whose_turn_it_is() {
    let place = Place::new();
    let store = &place.store;
    let tried = |recipe: &Recipe, lists| {
        let options = BuildOptions::with_lists(lists);
        store.build(recipe, &options, &mut |_| ()).unwrap_err()
    };
    let mut without = recipe(&place);
    without.guest = None;
    assert!(matches!(
        tried(&without, Lists::Machine),
        ImageError::NoGuest
    ));
    let mut script = recipe(&place);
    script.guest = Some(place.file("script", b"#!/bin/sh\n"));
    assert!(matches!(
        tried(&script, Lists::Machine),
        ImageError::Guest { .. }
    ));
    let mut unknown = recipe(&place);
    unknown.packages = vec!["there-is-no-such-package".to_owned()];
    let error = tried(&unknown, Lists::Machine);
    if let ImageError::NoProgram { .. } = error {
        return eprintln!("skipped: {error}");
    }
    assert!(
        matches!(error, ImageError::UnknownPackage { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("there-is-no-such-package"),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Operator);
}
