//! The files of an image.

use std::fs;
use std::path::Path;
use std::thread;

use super::wanted::Wanted;
use crate::apt::Resolved;
use crate::deb::Merge;
use crate::error::{ImageError, at};
use crate::event::Event;
use crate::initrd;
use crate::kernel::{self, Closure};
use crate::manifest::{Contents, Kernel, Role};
use crate::place::Place;
use crate::recipe::Recipe;
use crate::spool::Spool;
use crate::squashfs;
use crate::store::{Draft, ImageStore};
use crate::system::Root;
use crate::tree::Tree;

/// Bytes of all files of packages, unpacked.
const MOST_BYTES: u64 = 64 << 30;

/// Makes kernel, initramfs and root in the draft.
pub(super) fn make(
    store: &ImageStore,
    draft: &Draft,
    recipe: &Recipe,
    guest: &[u8],
    wanted: &Wanted,
    event: &mut dyn FnMut(Event),
) -> Result<Kernel, ImageError> {
    let packages = store.path("packages");
    let place = |role: Role| draft.file(role.file_name(Contents::Root));
    thread::scope(|scope| {
        // A kernel takes as long as all the rest.
        let kernel = scope.spawn(|| {
            let unpacked = unpack_kernel(draft.scratch(), &packages, recipe, &wanted.kernel)?;
            initrd::write(guest, &unpacked.modules, &place(Role::Initrd))?;
            let found = unpacked.found;
            let (kernel, packed) = (place(Role::Kernel), place(Role::PackedKernel));
            match &found.unpacked {
                Some(bytes) => {
                    fs::write(&kernel, bytes).map_err(at("write", &kernel))?;
                    fs::write(&packed, &found.packed).map_err(at("write", &packed))?;
                }
                None => fs::write(&kernel, &found.packed).map_err(at("write", &kernel))?,
            }
            Ok::<_, ImageError>(found.kernel)
        });
        make_root(draft, &packages, recipe, wanted, event)?;
        let joined = kernel.join();
        let kernel = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        if !kernel.uncompressed {
            event(Event::Warning(format!(
                "no uncompressed kernel could be taken out of {}: machines without KVM will start seconds later",
                kernel.release
            )));
        }
        if !kernel.knows_copies {
            event(Event::Warning(format!(
                "the kernel {} is not told when a machine is copied: copies would draw the same random numbers",
                kernel.release
            )));
        }
        Ok(kernel)
    })
}

fn make_root(
    draft: &Draft,
    packages: &Path,
    recipe: &Recipe,
    wanted: &Wanted,
    event: &mut dyn FnMut(Event),
) -> Result<(), ImageError> {
    let spooled = draft.scratch().join("root");
    let mut spool = Spool::new(&spooled, MOST_BYTES).map_err(at("make", &spooled))?;
    let left_out: Vec<_> = recipe
        .leave_out
        .iter()
        .filter_map(|path| Place::absolute(path).ok())
        .collect();
    let is_wanted =
        |place: &Place| place.name() == b"copyright" || !left_out.iter().any(|it| place.is_in(it));
    let mut merge = Merge::new(Tree::merged(), &mut spool);
    for (index, resolved) in wanted.root.iter().enumerate() {
        event(Event::Unpacking {
            package: resolved.package.name.clone(),
            index: index + 1,
            of: wanted.root.len(),
        });
        merge.add(&packages.join(&resolved.file), &is_wanted)?;
    }
    let mut tree = merge.finish()?;
    let mut root = Root {
        tree: &mut tree,
        spool: &mut spool,
        spooled: &spooled,
        clamp: recipe.clamp,
    };
    root.furnish(recipe, &wanted.packages())?;
    let file = Role::Disk.file_name(Contents::Root);
    event(Event::Writing { file });
    squashfs::write(
        &tree,
        &spool,
        recipe.clamp,
        &draft.file(file),
        draft.scratch(),
    )?;
    drop(spool);
    fs::remove_file(&spooled).map_err(at("remove", &spooled))
}

/// What came out of the packages of a kernel.
struct UnpackedKernel {
    found: kernel::Found,
    modules: Closure,
}

fn unpack_kernel(
    scratch: &Path,
    packages: &Path,
    recipe: &Recipe,
    resolved: &[Resolved],
) -> Result<UnpackedKernel, ImageError> {
    let spooled = scratch.join("kernel");
    let mut spool = Spool::new(&spooled, MOST_BYTES).map_err(at("make", &spooled))?;
    let mut merge = Merge::new(Tree::default(), &mut spool);
    for it in resolved {
        merge.add(&packages.join(&it.file), &kernel::is_wanted)?;
    }
    let tree = merge.finish()?;
    let found = kernel::find(&tree, &spool, &recipe.kernel)?;
    let release = &found.kernel.release;
    let modules = kernel::closure(&tree, &spool, release, found.only_signed, &recipe.modules)?;
    drop(spool);
    fs::remove_file(&spooled).map_err(at("remove", &spooled))?;
    Ok(UnpackedKernel { found, modules })
}
