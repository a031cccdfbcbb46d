//! Which packages an image is made of.

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Lists;
use crate::apt::{Apt, Resolved};
use crate::error::{ImageError, at};
use crate::event::Event;
use crate::manifest::Package;
use crate::recipe::Recipe;
use crate::store::{ImageStore, digest_file};

/// Changes whenever the same packages become something else: at the latest with the next release.
const VERSION: &str = concat!("grange image 3 ", env!("CARGO_PKG_VERSION"));

/// The packages of an image.
#[derive(Debug)]
pub(super) struct Wanted {
    pub root: Vec<Resolved>,
    /// Of the kernel, without what would install it.
    pub kernel: Vec<Resolved>,
    /// What knows where they are.
    apt: Apt,
    /// Whether that is the machine's lists.
    of_machine: bool,
}

impl Wanted {
    /// All of them, by name.
    pub(super) fn packages(&self) -> Vec<Package> {
        let mut packages: Vec<_> = self.all().map(|it| it.package.clone()).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    fn all(&self) -> impl Iterator<Item = &Resolved> {
        self.root.iter().chain(&self.kernel)
    }
}

/// Finds them, by the machine's lists or by newer ones.
pub(super) fn find(
    store: &ImageStore,
    scratch: &Path,
    recipe: &Recipe,
    lists: Lists,
    event: &mut dyn FnMut(Event),
) -> Result<Wanted, ImageError> {
    if lists != Lists::Update {
        let apt = Apt::of_machine(scratch, recipe.architecture)?;
        let usable = apt.has_lists() || lists == Lists::Machine;
        if usable {
            match resolve(apt, recipe, true) {
                Err(ImageError::UnknownPackage { .. } | ImageError::Unresolvable { .. })
                    if lists == Lists::Auto => {}
                result => return result,
            }
        }
    }
    let apt = Apt::with_lists(scratch, recipe.architecture, &store.path("lists"))?;
    event(Event::UpdatingLists);
    if let Some(said) = apt.update()? {
        event(Event::Warning(format!(
            "not all lists of packages could be fetched: {said}"
        )));
    }
    resolve(apt, recipe, false)
}

fn resolve(apt: Apt, recipe: &Recipe, of_machine: bool) -> Result<Wanted, ImageError> {
    let root = apt.resolve(&recipe.packages)?;
    let mut kernel = apt.resolve(std::slice::from_ref(&recipe.kernel))?;
    kernel.retain(|it| is_of_kernel(&it.package.name) || it.package.name == recipe.kernel);
    Ok(Wanted {
        root,
        kernel,
        apt,
        of_machine,
    })
}

/// Whether a package is a part of a kernel. Ubuntu has the modules in packages of their own; Debian 14 has those, too, and apart
/// from them the kernel itself (`linux-binary-`) and its configuration (`linux-base-`).
fn is_of_kernel(package: &str) -> bool {
    let parts = [
        "linux-image-",
        "linux-modules-",
        "linux-binary-",
        "linux-base-",
    ];
    parts.iter().any(|it| package.starts_with(it))
}

/// Sees that all packages are in the store. If they are not to be had any more, they are looked for anew.
pub(super) fn fetch(
    store: &ImageStore,
    scratch: &Path,
    recipe: &Recipe,
    wanted: Wanted,
    lists: Lists,
    event: &mut dyn FnMut(Event),
) -> Result<Wanted, ImageError> {
    match get(store, &wanted, event) {
        Ok(()) => Ok(wanted),
        Err(ImageError::NotFetched { .. }) if wanted.of_machine && lists == Lists::Auto => {
            let wanted = find(store, scratch, recipe, Lists::Update, event)?;
            get(store, &wanted, event)?;
            Ok(wanted)
        }
        Err(error) => Err(error),
    }
}

fn get(
    store: &ImageStore,
    wanted: &Wanted,
    event: &mut dyn FnMut(Event),
) -> Result<(), ImageError> {
    let directory = store.path("packages");
    let all: Vec<_> = wanted.all().cloned().collect();
    let missing = all.iter().filter(|it| !directory.join(&it.file).exists());
    event(Event::Resolved {
        packages: all.len(),
        bytes: missing.map(|it| it.size).sum(),
    });
    wanted.apt.fetch(&all, &directory, &mut |share| {
        event(Event::Fetching { share });
    })?;
    // They are in use: what is not goes when the store is pruned.
    let now = SystemTime::now();
    for path in all.iter().map(|it| directory.join(&it.file)) {
        let file = File::options().write(true).open(&path);
        file.and_then(|file| file.set_modified(now))
            .map_err(at("touch", &path))?;
    }
    Ok(())
}

/// What an image is known by before it is made: all that goes into it, but not its name.
pub(super) fn key(recipe: &Recipe, guest: &[u8], wanted: &Wanted) -> Result<String, ImageError> {
    let mut hasher = Sha256::new();
    // Each after its length, so that no two lists are the same bytes.
    let mut add = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(VERSION.as_bytes());
    add(recipe.architecture.as_str().as_bytes());
    add(&recipe.clamp.to_le_bytes());
    add(guest);
    for resolved in [&wanted.root, &wanted.kernel] {
        add(&resolved.len().to_le_bytes());
        for it in resolved {
            add(it.package.sha256.as_bytes());
        }
    }
    for list in [&recipe.modules, &recipe.leave_out] {
        add(&list.len().to_le_bytes());
        for it in list {
            add(it.as_bytes());
        }
    }
    for file in &recipe.files {
        let (_, sha256) = digest_file(&file.source)?;
        add(file.path.as_bytes());
        add(&sha256);
        for number in [file.mode, file.uid, file.gid] {
            add(&number.to_le_bytes());
        }
    }
    Ok(HEXLOWER.encode(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::recipe::ExtraFile;

    fn resolved(sha256: &str) -> Resolved {
        Resolved {
            package: Package {
                name: "a".to_owned(),
                version: "1".to_owned(),
                sha256: sha256.to_owned(),
            },
            file: "a_1_all.deb".to_owned(),
            size: 1,
        }
    }

    #[test]
    fn parts_of_a_kernel_are_told_from_what_installs_it() {
        for part in [
            "linux-image-6.1.0-48-amd64",
            "linux-modules-7.2.13+deb14-amd64",
            "linux-binary-7.2.13+deb14-amd64",
            "linux-base-7.2.13+deb14-amd64",
        ] {
            assert!(is_of_kernel(part), "{part}");
        }
        for other in ["linux-base", "linux-libc-dev", "dracut", "kmod"] {
            assert!(!is_of_kernel(other), "{other}");
        }
    }

    #[test]
    fn the_key_is_that_of_all_that_goes_into_an_image() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "one").unwrap();
        let mut recipe = Recipe::debian("x".parse().unwrap());
        recipe.files.push(ExtraFile {
            path: "/etc/x".to_owned(),
            source: file.clone(),
            mode: 0o644,
            uid: 0,
            gid: 0,
        });
        let apt = || Apt::of_machine(directory.path(), recipe.architecture).unwrap();
        let wanted = |root: &[&str], kernel: &[&str]| Wanted {
            root: root.iter().map(|it| resolved(it)).collect(),
            kernel: kernel.iter().map(|it| resolved(it)).collect(),
            apt: apt(),
            of_machine: true,
        };
        let plain = wanted(&["1", "2"], &["3"]);
        let first = key(&recipe, b"guest", &plain).unwrap();
        let mut other = recipe.clone();
        other.name = "y".parse().unwrap();
        assert_eq!(key(&other, b"guest", &plain).unwrap(), first);

        let mut keys = vec![
            first,
            key(&recipe, b"other guest", &plain).unwrap(),
            key(&recipe, b"guest", &wanted(&["1"], &["2", "3"])).unwrap(),
            key(&recipe, b"guest", &wanted(&["1", "3"], &["2"])).unwrap(),
        ];
        let changes: [&dyn Fn(&mut Recipe); 5] = [
            &|it| it.clamp += 1,
            &|it| it.files[0].mode = 0o600,
            &|it| it.files[0].path.push('y'),
            &|it| it.modules.push("9p".to_owned()),
            &|it| it.leave_out.push("9p".to_owned()),
        ];
        for change in changes {
            let mut changed = recipe.clone();
            change(&mut changed);
            keys.push(key(&changed, b"guest", &plain).unwrap());
        }
        fs::write(&file, "two").unwrap();
        keys.push(key(&recipe, b"guest", &plain).unwrap());
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
