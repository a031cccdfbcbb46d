//! Names, ids, damage, crashes, pruning.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use grange_interfaces::Fault;
use grange_vm_image::{ImageError, ImageName};

use crate::fixture::{Place, names_in};

#[test]
fn an_image_is_found_by_name_and_by_the_beginning_of_its_id() {
    let place = Place::new();
    let (one, two) = (place.imported("one", 1), place.imported("two", 2));
    assert_ne!(one.id(), two.id());
    let id = one.id().to_string();
    for text in ["one", &id, &id[..8]] {
        assert_eq!(place.store.resolve(text).unwrap().id(), one.id(), "{text}");
    }
    for text in ["three", &id[..3], "zzzz", "../one", ""] {
        let error = place.store.resolve(text).unwrap_err();
        assert_eq!(error.fault(), Fault::NotFound, "{text}");
    }
}

#[test]
fn an_id_that_begins_several_is_told() {
    let place = Place::new();
    let id = place.imported("one", 1).id().to_string();
    // Another that begins the same; what is in it does not matter here.
    let other = format!("{}{}", &id[..8], "0".repeat(56));
    fs::create_dir(place.store.directory().join("images").join(other)).unwrap();
    let error = place.store.resolve(&id[..8]).unwrap_err();
    assert!(matches!(error, ImageError::Ambiguous(_)), "{error}");
    assert_eq!(place.store.resolve(&id).unwrap().id().to_string(), id);
}

#[test]
fn the_same_content_is_one_image_and_names_move() {
    let place = Place::new();
    let (one, again) = (place.imported("one", 1), place.imported("again", 1));
    assert_eq!(one.id(), again.id());
    let two = place.imported("one", 2);
    assert_eq!(place.store.resolve("one").unwrap().id(), two.id());
    assert_eq!(place.store.resolve("again").unwrap().id(), one.id());
    let list = place.store.list().unwrap();
    assert_eq!(list.len(), 2);
    let names = |image: &grange_vm_image::Image| -> Vec<String> {
        let found = list.iter().find(|(it, _)| it.id() == image.id()).unwrap();
        found.1.iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(&one), ["again"]);
    assert_eq!(names(&two), ["one"]);
    let name: ImageName = "again".parse().unwrap();
    assert!(place.store.remove_name(&name).unwrap());
    assert!(!place.store.remove_name(&name).unwrap());
    assert!(place.store.set_name(&name, two.id()).is_ok());
}

#[test]
fn names_are_plain() {
    let id = "0".repeat(64);
    for bad in ["", ".", "..", "a/b", "A", "-a", "a b", &id, &"a".repeat(65)] {
        assert!(bad.parse::<ImageName>().is_err(), "{bad}");
    }
    for good in ["a", "debian-12", "guix_1.4", "0"] {
        good.parse::<ImageName>().unwrap();
    }
}

#[test]
fn damage_is_found() {
    let place = Place::new();
    let image = place.imported("one", 1);
    place.store.verify(&image).unwrap();
    let disk = image.disk().unwrap();
    // The same size, another byte: only found by reading.
    let mut bytes = fs::read(&disk).unwrap();
    bytes[100_000] = 9;
    fs::write(&disk, &bytes).unwrap();
    assert!(place.store.resolve("one").is_ok());
    let error = place.store.verify(&image).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    // Cut: found at once.
    fs::write(&disk, &bytes[..1000]).unwrap();
    let error = place.store.resolve("one").unwrap_err();
    assert!(
        error.to_string().contains("disk.raw has 1000 bytes"),
        "{error}"
    );
    assert_eq!(place.store.damaged().unwrap()[0].id, image.id());
    assert!(place.store.list().unwrap().is_empty());
    // What is imported again takes its place.
    assert_eq!(place.imported("one", 1).id(), image.id());
    place
        .store
        .verify(&place.store.resolve("one").unwrap())
        .unwrap();
}

#[test]
fn another_manifest_is_damage() {
    let place = Place::new();
    let image = place.imported("one", 1);
    let path = image.directory().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("raw", "qcow2")).unwrap();
    assert!(place.store.resolve("one").is_err());
}

#[test]
fn what_a_crash_left_counts_for_nothing_and_goes() {
    let place = Place::new();
    let scratch = place.store.directory().join("scratch");
    let left = scratch.join("at-crash/image");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("disk.raw"), b"half").unwrap();
    assert!(place.store.list().unwrap().is_empty());
    // While somebody works in the store, nothing is swept: it may be theirs.
    let lock = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(place.store.directory().join("scratch.lock"))
        .unwrap();
    lock.lock_shared().unwrap();
    place.reopened();
    assert_eq!(names_in(&scratch), ["at-crash"]);
    drop(lock);
    place.reopened();
    assert!(names_in(&scratch).is_empty());
}

#[test]
fn nothing_is_left_of_what_went_wrong() {
    let place = Place::new();
    let path = place.file("bad", b"\x1f\x8b\x08 gzip");
    let options = grange_vm_image::ImportOptions::new("bad".parse().unwrap());
    assert!(place.store.import(&path, &options).is_err());
    place.imported("one", 1);
    for (directory, count) in [("scratch", 0), ("names", 1), ("images", 1)] {
        let names = names_in(&place.store.directory().join(directory));
        assert_eq!(names.len(), count, "{directory}");
    }
}

#[test]
fn what_nobody_uses_goes() {
    let place = Place::new();
    let kept = place.imported("a", 1);
    let unnamed = place.imported("b", 2);
    let named = place.imported("b", 3);
    let gone = place.imported("c", 4);
    place.store.remove_name(&"a".parse().unwrap()).unwrap();
    place.store.remove_name(&"c".parse().unwrap()).unwrap();
    let keep = HashSet::from([kept.id()]);
    let young = place.store.prune(&keep, Duration::from_secs(3600)).unwrap();
    assert!(young.images.is_empty());
    let pruned = place.store.prune(&keep, Duration::ZERO).unwrap();
    let images: HashSet<_> = pruned.images.into_iter().collect();
    assert_eq!(images, HashSet::from([unnamed.id(), gone.id()]));
    assert!(pruned.bytes >= 2 * 256 * 1024);
    let left: HashSet<_> = place
        .store
        .list()
        .unwrap()
        .iter()
        .map(|(it, _)| it.id())
        .collect();
    assert_eq!(left, HashSet::from([kept.id(), named.id()]));
}

#[test]
fn packages_and_tools_go_by_age_too() {
    let place = Place::new();
    let directory = place.store.directory();
    for name in ["packages/a_1_all.deb", "tools/a.squashfs"] {
        fs::write(directory.join(name), b"12345").unwrap();
    }
    let hour = Duration::from_secs(3600);
    assert_eq!(place.store.prune(&HashSet::new(), hour).unwrap().files, 0);
    // Not while somebody builds.
    let lock = fs::File::create(directory.join("build.lock")).unwrap();
    lock.lock().unwrap();
    let pruned = place.store.prune(&HashSet::new(), Duration::ZERO).unwrap();
    assert_eq!((pruned.files, pruned.bytes), (1, 5));
    drop(lock);
    let pruned = place.store.prune(&HashSet::new(), Duration::ZERO).unwrap();
    assert_eq!((pruned.files, pruned.bytes), (1, 5));
}
