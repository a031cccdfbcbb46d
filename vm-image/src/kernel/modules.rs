//! Modules, and what they depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use crate::compression::Compression;
use crate::elf::Elf;
use crate::error::ImageError;
use crate::spool::{Content, Spool};
use crate::tree::{Node, Tree};

/// Algorithms that modules ask for by name when they start (`softdep=`), and what has them: that is in no module's
/// `depends=`, and which module is called how else only `depmod` finds out, of all of them.
const ALGORITHMS: &[(&str, &str)] = &[
    ("crc32", "crc32_generic"),
    ("crc32c", "crc32c_generic"),
    ("crct10dif", "crct10dif_generic"),
];

/// What a machine needs before it can serve its host, if it is wanted at all. All others are loaded while it does.
const FIRST: &[&str] = &[
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "squashfs",
    "overlay",
];

/// What a machine needs that has a disk for what is written in it. Without one it is not loaded; a kernel may lack it.
const FOR_DISKS: &[&str] = &["ext4"];

/// What stands behind a module's signature, and before it how long that is (`linux/module_signature.h`, `MODULE_SIG_STRING`).
const SIGNED: &[u8] = b"~Module signature appended~\n";
/// `struct module_signature`.
const SIGNATURE_INFO: usize = 12;

/// Bytes of a module. The largest, drivers of graphics cards, have some 20 MiB.
const MOST_BYTES: u64 = 128 << 20;

/// A module, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// With `_` in place of `-`.
    pub name: String,
    pub content: Vec<u8>,
}

/// Modules in the order in which they are loaded: each after all that it depends on.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// Those without which a machine cannot serve its host.
    pub first: Vec<Module>,
    /// Those that only a machine with a disk needs, beside the others.
    pub for_disks: Vec<Module>,
    /// All others.
    pub later: Vec<Module>,
}

/// The modules of a kernel's packages.
struct Modules<'a> {
    spool: &'a Spool,
    release: &'a str,
    only_signed: bool,
    files: BTreeMap<String, (Content, Compression)>,
    /// Those that are in the kernel itself.
    builtin: BTreeSet<String>,
}

/// The modules `wanted` of the kernel `release` and those that they depend on; with their signatures, if it loads `only_signed` ones.
pub(crate) fn closure(
    tree: &Tree,
    spool: &Spool,
    release: &str,
    only_signed: bool,
    wanted: &[String],
) -> Result<Closure, ImageError> {
    let base = format!("/usr/lib/modules/{release}/");
    let mut files = BTreeMap::new();
    for (place, entry) in tree.iter() {
        let Node::File(content) = entry.node else {
            continue;
        };
        let file = String::from_utf8_lossy(place.name()).into_owned();
        let Some((name, rest)) = file.split_once(".ko") else {
            continue;
        };
        let compression = match rest {
            "" => Some(Compression::None),
            rest => Compression::of_name(rest),
        };
        if let Some(compression) = compression.filter(|_| place.to_string().starts_with(&base)) {
            files.insert(plain(name), (content, compression));
        }
    }
    let builtin = match tree.file(&format!("{base}modules.builtin")) {
        None => BTreeSet::new(),
        Some(content) => {
            let text = spool.read(content, MOST_BYTES).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let names = text
                .lines()
                .filter_map(|line| line.rsplit('/').next()?.strip_suffix(".ko"));
            names.map(plain).collect()
        }
    };
    let modules = Modules {
        spool,
        release,
        only_signed,
        files,
        builtin,
    };
    let mut closure = Closure::default();
    let mut begun = BTreeSet::new();
    let names = wanted.iter().map(|name| plain(name));
    let (first, later): (Vec<_>, Vec<_>) = names.partition(|name| FIRST.contains(&name.as_str()));
    for name in &first {
        modules.add(name, &mut begun, &mut closure.first)?;
    }
    for name in &later {
        modules.add(name, &mut begun, &mut closure.later)?;
    }
    let has = |name: &&&str| modules.files.contains_key(**name);
    for name in FOR_DISKS.iter().filter(has) {
        modules.add(name, &mut begun, &mut closure.for_disks)?;
    }
    Ok(closure)
}

impl Modules<'_> {
    fn add(
        &self,
        name: &str,
        begun: &mut BTreeSet<String>,
        order: &mut Vec<Module>,
    ) -> Result<(), ImageError> {
        if self.builtin.contains(name) || !begun.insert(name.to_owned()) {
            return Ok(());
        }
        let unknown = || ImageError::UnknownModule {
            module: name.to_owned(),
            kernel: self.release.to_owned(),
        };
        let (content, compression) = self.files.get(name).ok_or_else(unknown)?;
        let bad = |what: &str| ImageError::BadPackage {
            package: format!("with the kernel {}", self.release),
            what: format!("its module {name} {what}"),
        };
        let mut bytes = Vec::new();
        let read = self.spool.open(*content).and_then(|file| {
            let reader = compression.open(file)?;
            reader.take(MOST_BYTES).read_to_end(&mut bytes)
        });
        read.map_err(|_| bad("cannot be unpacked"))?;
        let info = Elf::new(&bytes).and_then(|elf| elf.section(b".modinfo"));
        let info = info.ok_or_else(|| bad("is no module"))?;
        for dependency in depends(info) {
            self.add(&dependency, begun, order)?;
        }
        for name in wishes(info).filter(|name| self.files.contains_key(name)) {
            self.add(&name, begun, order)?;
        }
        if !self.only_signed {
            unsign(&mut bytes);
        }
        order.push(Module {
            name: name.to_owned(),
            content: bytes,
        });
        Ok(())
    }
}

/// Takes a module's signature away: without KVM, the kernel takes longer to verify it than for all the rest of loading it, and who it is from
/// is known by the package's hash.
fn unsign(module: &mut Vec<u8>) {
    let length = |info: &[u8]| Some(u32::from_be_bytes(*info.last_chunk()?));
    let signed = module.strip_suffix(SIGNED);
    let signature = signed
        .and_then(length)
        .and_then(|length| usize::try_from(length).ok());
    let behind = signature.and_then(|length| length.checked_add(SIGNED.len() + SIGNATURE_INFO));
    if let Some(end) = behind.and_then(|behind| module.len().checked_sub(behind)) {
        module.truncate(end);
    }
}

/// What `depends=` says.
fn depends(info: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for field in info.split(|&it| it == 0) {
        let text = String::from_utf8_lossy(field);
        if let Some(list) = text.strip_prefix("depends=") {
            names.extend(list.split(',').filter(|it| !it.is_empty()).map(plain));
        }
    }
    names
}

/// What `softdep=` says has to come before, if it is there.
fn wishes(info: &[u8]) -> impl Iterator<Item = String> {
    let fields = info.split(|&it| it == 0).map(String::from_utf8_lossy);
    let lists = fields.filter_map(|field| {
        let list = field.strip_prefix("softdep=pre:")?;
        Some(list.split("post:").next().unwrap_or(list).to_owned())
    });
    let names: Vec<_> = lists
        .flat_map(|list| list.split_whitespace().map(plain).collect::<Vec<_>>())
        .collect();
    names.into_iter().map(|name| {
        let known = ALGORITHMS.iter().find(|(algorithm, _)| *algorithm == name);
        known.map_or(name, |(_, module)| (*module).to_owned())
    })
}

/// The kernel does not tell `-` from `_` in names of modules.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::elf;
    use crate::place::Place;
    use crate::tree::Attributes;

    fn module(depends: &str) -> Vec<u8> {
        let info = format!("license=GPL\0depends={depends}\0name=x\0");
        elf(1, 1, b".modinfo", info.as_bytes())
    }

    fn order(files: &[(&str, Vec<u8>)], wanted: &[&str]) -> Result<Vec<String>, ImageError> {
        let modules = sorted(files, wanted)?;
        let all = modules.first.into_iter().chain(modules.later);
        Ok(all.map(|it| it.name).collect())
    }

    fn sorted(files: &[(&str, Vec<u8>)], wanted: &[&str]) -> Result<Closure, ImageError> {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(&directory.path().join("spool"), 1 << 20).unwrap();
        let mut tree = Tree::default();
        for (path, bytes) in files {
            let content = spool.add_bytes(bytes).unwrap();
            let place = Place::absolute(&format!("/lib/modules/1.0/{path}")).unwrap();
            tree.put(place, Node::File(content), Attributes::root(0o644));
        }
        let wanted: Vec<_> = wanted.iter().map(|it| (*it).to_owned()).collect();
        closure(&tree, &spool, "1.0", false, &wanted)
    }

    #[test]
    fn what_only_disks_need_is_apart_with_what_it_depends_on() {
        let files = [
            ("ext4.ko", module("jbd2,crc16")),
            ("jbd2.ko", module("")),
            ("crc16.ko", module("")),
            ("other.ko", module("crc16")),
        ];
        let names = |modules: &[Module]| modules.iter().map(|it| it.name.clone()).collect();
        let modules = sorted(&files, &["other"]).unwrap();
        let (later, disks): (Vec<_>, Vec<_>) = (names(&modules.later), names(&modules.for_disks));
        assert_eq!(
            (later, disks),
            (
                vec!["crc16".into(), "other".into()],
                vec!["jbd2".into(), "ext4".into()]
            )
        );
        assert_eq!(sorted(&files, &["ext4"]).unwrap().for_disks, []);
        assert_eq!(sorted(&files[3..3], &[]).unwrap().for_disks, []);
    }

    #[test]
    fn each_comes_after_what_it_depends_on() {
        let files = [
            ("kernel/virtio-pci.ko", module("virtio_ring,virtio")),
            ("kernel/virtio.ko", module("")),
            (
                "kernel/virtio_ring.ko.zst",
                zstd::encode_all(&module("virtio")[..], 1).unwrap(),
            ),
            ("kernel/other.ko", module("virtio")),
        ];
        let found = order(&files, &["virtio_pci", "virtio", "other"]).unwrap();
        assert_eq!(found, ["virtio", "virtio_ring", "virtio_pci", "other"]);
    }

    #[test]
    fn what_is_built_in_is_not_loaded_and_what_is_unknown_is_told() {
        let files = [
            (
                "modules.builtin",
                b"kernel/drivers/char/hw_random/rng-core.ko\n".to_vec(),
            ),
            ("kernel/virtio-rng.ko", module("rng_core")),
        ];
        assert_eq!(
            order(&files, &["virtio_rng", "rng-core"]).unwrap(),
            ["virtio_rng"]
        );
        let error = order(&files, &["virtio_rng", "nothing"]).unwrap_err();
        assert_eq!(error.to_string(), "the kernel 1.0 has no module nothing");
    }

    #[test]
    fn what_a_module_asks_for_by_name_comes_before_it() {
        let info = b"depends=\0softdep=pre: crc32c missing post: later\0";
        let files = [
            ("libcrc32c.ko", elf(1, 1, b".modinfo", info)),
            ("crc32c_generic.ko", module("")),
            ("later.ko", module("")),
        ];
        let found = order(&files, &["libcrc32c"]).unwrap();
        assert_eq!(found, ["crc32c_generic", "libcrc32c"]);
    }

    #[test]
    fn a_signature_goes_and_what_is_none_stays() {
        let plain = module("");
        let mut signed = [&plain[..], b"signature", &[0; 8], &9_u32.to_be_bytes()].concat();
        signed.extend(SIGNED);
        let mut cut = signed.clone();
        unsign(&mut cut);
        assert_eq!(cut, plain);
        unsign(&mut cut);
        assert_eq!(cut, plain);
        let mut long = [b"x", &[0; 8][..], &u32::MAX.to_be_bytes(), SIGNED].concat();
        let before = long.clone();
        unsign(&mut long);
        assert_eq!(long, before);
    }

    #[test]
    fn circles_and_damage_end() {
        let files = [
            ("a.ko", module("b")),
            ("b.ko", module("a")),
            ("c.ko", b"no ELF".to_vec()),
        ];
        assert_eq!(order(&files, &["a"]).unwrap(), ["b", "a"]);
        assert!(order(&files, &["c"]).is_err());
    }
}
