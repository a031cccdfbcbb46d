//! Where images are kept.

mod import;
mod names;
mod prune;
mod publish;
mod read;
mod scratch;
mod tools;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::build::{self, BuildOptions};
use crate::error::{ImageError, at};
use crate::event::Event;
use crate::image::{Image, ImageId, ImageName};
use crate::recipe::Recipe;

pub use import::{DiskFormat, ImportOptions};
pub use prune::Pruned;
pub use read::Damage;
pub use tools::ToolFile;

pub(crate) use names::find_key;
pub(crate) use publish::{Draft, digest_file};
pub(crate) use scratch::{Scratch, lock, try_lock};

/// Images in a directory, each known by what is in it.
///
/// `images/ID/` has an image's files and its manifest, `names/NAME` is a link to one of them, `keys/KEY` says that it
/// is what came of a recipe and these very packages, `packages/` has packages that were fetched, `lists/` the lists
/// they are in, `tools/` small disks of programs. All that is made is made in `scratch/`, written to the disk, and
/// only then renamed, so that a crash leaves nothing that counts; what it left in `scratch/` goes when the store is
/// opened next and nobody works in it.
///
/// Several processes may use one store. Every method blocks.
#[derive(Clone, Debug)]
pub struct ImageStore {
    directory: PathBuf,
}

impl ImageStore {
    /// The store in `directory`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Its directories cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let directory = directory.into();
        for name in [
            "images", "keys", "lists", "names", "packages", "scratch", "tools",
        ] {
            let path = directory.join(name);
            fs::create_dir_all(&path).map_err(at("make the directory", &path))?;
        }
        let directory = fs::canonicalize(&directory).map_err(at("find", &directory))?;
        let store = Self { directory };
        scratch::sweep(&store)?;
        Ok(store)
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes what the recipe says and gives it the recipe's name, or finds that this has been done before, with the
    /// same packages and the same guest program.
    ///
    /// # Errors
    ///
    /// See [`ImageError::fault`] for whose turn it is.
    pub fn build(
        &self,
        recipe: &Recipe,
        options: &BuildOptions,
        event: &mut dyn FnMut(Event),
    ) -> Result<Image, ImageError> {
        build::build(self, recipe, options, event)
    }

    /// Takes in a disk of others, by copy, and gives it a name.
    ///
    /// # Errors
    ///
    /// It is no disk image, not a whole one, or not all of one; or it cannot be copied.
    pub fn import(&self, disk: &Path, options: &ImportOptions) -> Result<Image, ImageError> {
        import::import(self, disk, options)
    }

    /// All images, and the names they have; the newest first.
    ///
    /// # Errors
    ///
    /// The directory cannot be read. A damaged image is left out; [`damaged`](Self::damaged) has those.
    pub fn list(&self) -> Result<Vec<(Image, Vec<ImageName>)>, ImageError> {
        read::list(self)
    }

    /// The images whose files are not those that were written: of another size, or gone.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn damaged(&self) -> Result<Vec<Damage>, ImageError> {
        read::damaged(self)
    }

    /// The image of this name, or whose id begins so (with at least four digits). Its files have the sizes they
    /// should have.
    ///
    /// # Errors
    ///
    /// There is none, there are several, or it is damaged.
    pub fn resolve(&self, name_or_id: &str) -> Result<Image, ImageError> {
        names::resolve(self, name_or_id)
    }

    /// Reads all of an image's files, and compares.
    ///
    /// # Errors
    ///
    /// It is damaged, or cannot be read.
    pub fn verify(&self, image: &Image) -> Result<(), ImageError> {
        read::verify(image)
    }

    /// Gives an image a name, which another one may have had.
    ///
    /// # Errors
    ///
    /// There is no such image, or the link cannot be made.
    pub fn set_name(&self, name: &ImageName, image: ImageId) -> Result<(), ImageError> {
        let _lock = lock(self, "publish")?;
        names::set(self, name, image)
    }

    /// Takes a name away. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// The link cannot be removed.
    pub fn remove_name(&self, name: &ImageName) -> Result<bool, ImageError> {
        names::remove(self, name)
    }

    /// Removes images that have no name, are not in `keep` and have been here for `older_than`; packages and disks of
    /// tools that have not been used for so long. Whoever runs machines names their images in `keep`.
    ///
    /// # Errors
    ///
    /// Something cannot be removed.
    pub fn prune(
        &self,
        keep: &HashSet<ImageId>,
        older_than: Duration,
    ) -> Result<Pruned, ImageError> {
        prune::prune(self, keep, older_than)
    }

    /// A small read-only squashfs of programs, to be given to a machine beside its root, made if it is not there. It
    /// is known by what is in it, so machines with the same programs share one.
    ///
    /// # Errors
    ///
    /// A file cannot be read, a path is none, or `mksquashfs` is missing or fails.
    pub fn tools_disk(&self, files: &[ToolFile]) -> Result<PathBuf, ImageError> {
        tools::tools_disk(self, files)
    }
}
