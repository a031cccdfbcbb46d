//! What an image is to be.

mod file;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::architecture::Architecture;
use crate::error::{ImageError, at};
use crate::image::ImageName;
use crate::place::Place;

pub use file::TomlError;

/// 2006-01-01T00:00:00Z, before every date that somebody is likely to set a machine to because of what it builds.
const CLAMP: u64 = 1_136_073_600;

/// What ordinary builds and an ssh build machine need. Their dependencies come with them, what they only recommend
/// does not.
const PACKAGES: &[&str] = &[
    "base-files",  // /etc/os-release, the directories of a root
    "base-passwd", // the users and groups that Debian's programs expect
    "bash",        // what build scripts are written for
    "binutils",    // not left to chance: ar, strip
    "bzip2",
    "ca-certificates",
    "coreutils",
    "dash",        // /bin/sh
    "debianutils", // which, run-parts
    "diffutils",
    "file", // configure scripts of libtool
    "findutils",
    "gcc",
    "grep",
    "gzip",
    "hostname",
    "iproute2", // the guest's network, seen from within
    "libc-bin", // getconf, ldd, the locale C.UTF-8
    "libc6-dev",
    "login", // su, and /etc/login.defs for it
    "make",
    "mawk", // Debian's own awk, a tenth of gawk
    "mount",
    "openssh-server", // ssh build machines
    "openssl",
    "passwd", // builds that make users
    "patch",
    "perl-base", // a perl for configure scripts, without the library of perl
    "procps",    // ps, kill by name, sysctl
    "sed",
    "tar",
    "usr-is-merged", // what else would come in its place needs all of perl
    "util-linux",    // setsid, flock, unshare, hwclock
    "xz-utils",
    "zstd",
];

/// What a virtual machine of ours has in it. What they depend on is added.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_console", // the channel to the host
    "virtio_net",
    "virtio_rng",
    "virtio_blk",
    "overlay",  // what makes the root writable
    "squashfs", // the root
    "erofs",
    "qemu_fw_cfg", // secrets that are there from the start
    "vmw_vsock_virtio_transport",
];

/// Documentation and translations: a third of the files.
const LEAVE_OUT: &[&str] = &[
    "/usr/share/doc",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/man",
];

/// What an image is to be. [`Recipe::debian`] has all the defaults; [`Recipe::from_toml`] reads one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipe {
    /// The name that the image gets in the store.
    pub name: ImageName,
    /// The machine it is for.
    pub architecture: Architecture,
    /// The package of the kernel; of one that holds none itself, such as Debian's `linux-image-amd64`, the kernel
    /// that it depends on is taken. Default: that one. The kernels called "cloud" boot as fast, but cannot be told
    /// that they are a copy of another machine (`CONFIG_VMGENID`), and so draw the same random numbers.
    pub kernel: String,
    /// The packages of the root. What they depend on is added.
    pub packages: Vec<String>,
    /// Modules that are loaded before the root is mounted. What they depend on is added.
    pub modules: Vec<String>,
    /// Files and directories of packages that the root does not get. Files called `copyright` are kept.
    pub leave_out: Vec<String>,
    /// No file has a later date than this, in seconds since 1970. Default: 2006-01-01, so that `make` in a machine
    /// set to 2010 sees no file from the future.
    pub clamp: u64,
    /// Files of this machine that are put into the root, in place of what packages have there.
    pub files: Vec<ExtraFile>,
    /// `/init`: a static program, Grange's `grange-guest`. Default: none, to be put in by whoever knows where it lies.
    pub guest: Option<PathBuf>,
}

/// A file of this machine that goes into an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraFile {
    /// Where it is to be, absolute.
    pub path: String,
    /// Where it is now.
    pub source: PathBuf,
    /// Permissions, such as 0o755.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Why a recipe cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// It is no TOML, or says what no recipe says.
    #[error("it is no recipe")]
    Toml(#[from] TomlError),
    /// A value is none of those that can be.
    #[error("{field} cannot be {value:?}: {what}")]
    Value {
        /// Where it stands.
        field: &'static str,
        /// What it is.
        value: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Recipe {
    /// The default recipe: current packages of the Debian that this machine has package sources of, or of another one
    /// that names them as Debian does.
    #[must_use]
    pub fn debian(name: ImageName) -> Self {
        let own = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        Self {
            name,
            architecture: Architecture::Amd64,
            kernel: "linux-image-amd64".to_owned(),
            packages: own(PACKAGES),
            modules: own(MODULES),
            leave_out: own(LEAVE_OUT),
            clamp: CLAMP,
            files: Vec::new(),
            guest: None,
        }
    }

    /// Reads a recipe. Whatever it does not say is as in [`Recipe::debian`]:
    ///
    /// ```
    /// let text = r#"
    ///     name = "with-python"
    ///     more-packages = ["python3"]
    ///     clamp = "1999-12-31"
    ///
    ///     [[files]]
    ///     path = "/etc/motd"
    ///     source = "/srv/motd"
    /// "#;
    /// let recipe = grange_vm_image::Recipe::from_toml(text)?;
    /// assert!(recipe.packages.iter().any(|it| it == "gcc"));
    /// # Ok::<(), grange_vm_image::RecipeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It is no recipe.
    pub fn from_toml(text: &str) -> Result<Self, RecipeError> {
        let recipe = file::parse(text)?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Reads a recipe from a file. Files that it names are looked for from where it lies.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no recipe.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        let text = fs::read_to_string(path).map_err(at("read the recipe", path))?;
        let mut recipe = Self::from_toml(&text)?;
        if let Some(base) = path.parent() {
            let sources = recipe.files.iter_mut().map(|file| &mut file.source);
            for source in sources.chain(&mut recipe.guest) {
                *source = base.join(&*source);
            }
        }
        Ok(recipe)
    }

    /// Whether it can be followed, as far as it alone tells.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), RecipeError> {
        is_package("kernel", &self.kernel)?;
        for package in &self.packages {
            is_package("packages", package)?;
        }
        if self.packages.is_empty() {
            return Err(refused("packages", "", "a root needs at least one"));
        }
        for module in &self.modules {
            let good = |it: u8| it.is_ascii_alphanumeric() || it == b'_' || it == b'-';
            if module.is_empty() || !module.bytes().all(good) {
                return Err(refused(
                    "modules",
                    module,
                    "modules are named by letters, digits, '_' and '-'",
                ));
            }
        }
        for path in &self.leave_out {
            Place::absolute(path).map_err(|what| refused("leave-out", path, what))?;
        }
        // A date of a squashfs is a u32.
        if self.clamp > u64::from(u32::MAX) {
            return Err(refused(
                "clamp",
                &self.clamp.to_string(),
                "the latest date is in 2106",
            ));
        }
        let mut paths = BTreeSet::new();
        for file in &self.files {
            let place = Place::absolute(&file.path)
                .map_err(|what| refused("files.path", &file.path, what))?;
            if !paths.insert(place) {
                return Err(refused("files.path", &file.path, "it is there twice"));
            }
            if file.mode > 0o7777 {
                return Err(refused(
                    "files.mode",
                    &format!("{:o}", file.mode),
                    "the highest is 7777",
                ));
            }
        }
        Ok(())
    }
}

pub(crate) fn refused(field: &'static str, value: &str, what: &'static str) -> RecipeError {
    RecipeError::Value {
        field,
        value: value.to_owned(),
        what,
    }
}

/// Names as Debian's policy has them (section 5.6.1), so that none of them is an option or a pattern to apt.
fn is_package(field: &'static str, name: &str) -> Result<(), RecipeError> {
    let good = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"+-.".contains(&it);
    let begins = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    // apt takes a name with + or - at its end for a wish to install or remove, unless there is such a package.
    if name.len() < 2
        || !name.bytes().all(good)
        || !name.bytes().next().is_some_and(begins)
        || name.ends_with('-')
    {
        return Err(refused(
            field,
            name,
            "packages are named by a-z, 0-9, '+', '-' and '.'",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian() -> Recipe {
        Recipe::debian("it".parse().unwrap())
    }

    #[test]
    fn the_default_can_be_followed() {
        debian().check().unwrap();
    }

    #[test]
    fn what_apt_would_take_for_an_option_or_a_wish_is_refused() {
        for name in [
            "-o",
            "",
            "a",
            "bash-",
            "bash=1",
            "?essential",
            "Bash",
            "../x.deb",
        ] {
            let mut recipe = debian();
            recipe.packages = vec![name.to_owned()];
            assert!(recipe.check().is_err(), "{name}");
        }
        let mut recipe = debian();
        recipe.packages = vec!["g++".to_owned()];
        recipe.check().unwrap();
    }

    #[test]
    fn files_lie_within_the_image_and_once() {
        let file = |path: &str| ExtraFile {
            path: path.to_owned(),
            source: PathBuf::from("/x"),
            mode: 0o644,
            uid: 0,
            gid: 0,
        };
        for paths in [
            &["/etc/../.."][..],
            &["etc/x"],
            &["/"],
            &["/bin/x", "/usr/bin/x"],
        ] {
            let mut recipe = debian();
            recipe.files = paths.iter().map(|path| file(path)).collect();
            assert!(recipe.check().is_err(), "{paths:?}");
        }
    }
}
