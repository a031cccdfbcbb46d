//! Images of virtual build machines.
//!
//! An [`ImageStore`] makes images of Debian packages as a [`Recipe`] says, takes in disks of others, and keeps both. It needs neither root nor
//! loop mounts: packages are fetched by `apt-get` into directories of the store, unpacked here, and written by `mksquashfs`; the initramfs
//! is written here, too.
//!
//! ```no_run
//! use grange_vm_image::{BuildOptions, ImageStore, Recipe};
//!
//! let store = ImageStore::open("/var/lib/farm/images")?;
//! let mut recipe = Recipe::debian("debian".parse()?);
//! recipe.guest = Some("/usr/lib/grange/grange-guest".into());
//! let image = store.build(&recipe, &BuildOptions::default(), &mut |event| println!("{event:?}"))?;
//! println!("{} is in {}", image.id(), image.directory().display());
//! # Ok::<(), grange_vm_image::ImageError>(())
//! ```
//!
//! Everything here blocks.

mod apt;
mod architecture;
mod build;
mod compression;
mod cpio;
mod deb;
mod disk;
mod elf;
mod error;
mod event;
mod image;
mod initrd;
mod kernel;
mod manifest;
mod place;
mod recipe;
mod spool;
mod squashfs;
mod store;
mod system;
mod tree;

pub use architecture::Architecture;
pub use build::{BuildOptions, Lists};
pub use error::ImageError;
pub use event::Event;
pub use image::{Image, ImageId, ImageName};
pub use manifest::{Contents, ImageFile, Kernel, Manifest, Package, Role};
pub use recipe::{ExtraFile, Recipe, RecipeError, TomlError};
pub use store::{Damage, DiskFormat, ImageStore, ImportOptions, Pruned, ToolFile};
