//! Images of virtual build machines.
//!
//! An [`ImageStore`] makes images of Debian packages as a [`Recipe`] says, takes in disks of others, and keeps both.
//! It needs neither root nor loop mounts: packages are fetched by `apt-get` into directories of the store, unpacked
//! here, and written by `mksquashfs`; the initramfs is written here, too.
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
//! Needed: `apt-get` with package sources of a Debian (or of what names its packages so), and `mksquashfs` of
//! squashfs-tools 4.5 or later. Lists of packages that the machine has are read, never written. Disks of others need
//! nothing; `qemu-img` is asked about a qcow2 if it is there. Everything here blocks.
//!
//! # What is in an image of ours
//!
//! * A kernel, uncompressed where that can be had, and as its package has it.
//! * An initramfs: `/init`, which is the guest program; the modules it is to load, in the order of
//!   `/lib/modules.list` before it serves, of `/lib/modules.later` while it does, and of `/lib/modules.disk` where the
//!   machine has a disk for what is written; `/dev/console`.
//! * A root: all files of the packages, owners and permissions kept, `/bin` and the like leading into `/usr`, no file
//!   later than the recipe's date. `/etc/grange/image.json` says what it was made of. It has neither the kernel nor
//!   its modules.
//!
//! # What scripts of packages would have done
//!
//! They are not run: they expect to be root, in the image, on a machine like it. What builds need of them is made
//! here: users and groups (Debian's own, `sshd`, and `offloading` with id 1000 for whoever builds over ssh), the
//! usual alternatives (`cc`, `awk`, `which`), the bundle of certificates, `/etc/nsswitch.conf` and the like, settings
//! of sshd that only take keys (there is no host key: each machine needs its own), and the least of PAM. What that
//! costs:
//!
//! * No `/etc/ld.so.cache`: libraries are found in the default directories, not in those that a package adds to
//!   `/etc/ld.so.conf.d`.
//! * No other alternatives, no services, no users of their own, no compiled Python, no hashed names in
//!   `/etc/ssl/certs` (OpenSSL is led to the bundle), no file capabilities. Packages that live by their scripts, as
//!   Java and TeX do, need more than this.
//! * dpkg has no database there, so nothing can be installed or asked in a machine. `image.json` has names and
//!   versions.
//! * `/run` is in the root, with `/run/sshd`, which sshd needs. Who mounts a tmpfs there makes that directory.

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
