//! What does not go, and whose turn it is then.

use std::io;
use std::path::{Path, PathBuf};

use grange_interfaces::Fault;

use crate::recipe::RecipeError;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The recipe is none.
    #[error("the recipe cannot be followed")]
    Recipe(#[from] RecipeError),
    /// The recipe names no guest program, and nobody has put one in.
    #[error("the recipe names no guest program")]
    NoGuest,
    /// The guest program cannot be `/init`.
    #[error("{} cannot be the guest program: {what}", path.display())]
    Guest {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A program is not installed.
    #[error("{program} is not installed (Debian package {package})")]
    NoProgram {
        /// The program.
        program: String,
        /// What to install.
        package: &'static str,
    },
    /// The machine's package sources have no such package.
    #[error("no such package here: {said}")]
    UnknownPackage {
        /// What apt said.
        said: String,
    },
    /// The packages wanted cannot be had together.
    #[error("apt finds no set of packages: {said}")]
    Unresolvable {
        /// What apt said.
        said: String,
    },
    /// Package lists or packages could not be fetched.
    #[error("cannot fetch {what}: {said}")]
    NotFetched {
        /// What was to be fetched.
        what: &'static str,
        /// What apt said.
        said: String,
    },
    /// A package is damaged, or not of this world.
    #[error("the package {package} cannot be used: {what}")]
    BadPackage {
        /// Its file's name.
        package: String,
        /// What was found in it.
        what: String,
    },
    /// Two packages want the same file to be different.
    #[error("{path} is both in {first} and in {second}")]
    Conflict {
        /// The file, as in the image.
        path: String,
        /// Who came first.
        first: String,
        /// Who came then.
        second: String,
    },
    /// The kernel has no such module.
    #[error("the kernel {kernel} has no module {module}")]
    UnknownModule {
        /// The module.
        module: String,
        /// The kernel's release.
        kernel: String,
    },
    /// What should become a disk's content has no place there.
    #[error("{path} cannot be on the disk: {what}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A helper program failed.
    #[error("{program} failed: {said}")]
    Program {
        /// The program.
        program: String,
        /// The end of what it said.
        said: String,
    },
    /// A file that was to be imported is no disk image that can be used.
    #[error("{} cannot be imported: {what}", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A name that no image can have.
    #[error(
        "{0:?} cannot be an image's name: it takes 1 to 64 of a-z, 0-9, '.', '_', '-', the first of them a letter or a digit"
    )]
    BadName(String),
    /// There is no image of that name or id.
    #[error("there is no image {0:?}")]
    NoImage(String),
    /// Several images have ids that begin so.
    #[error("{0:?} is the beginning of the ids of several images")]
    Ambiguous(String),
    /// An image is not what it was.
    #[error("the image {id} is damaged: {what}")]
    Damaged {
        /// The image.
        id: String,
        /// What was found.
        what: String,
    },
    /// The operating system did not do what was asked of it.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
}

impl ImageError {
    /// Whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Recipe(_)
            | Self::NoGuest
            | Self::Guest { .. }
            | Self::NoProgram { .. }
            | Self::UnknownPackage { .. }
            | Self::Unresolvable { .. }
            | Self::Conflict { .. }
            | Self::UnknownModule { .. }
            | Self::Program { .. }
            | Self::Damaged { .. }
            | Self::Io { .. } => Fault::Operator,
            Self::NotFetched { .. } | Self::BadPackage { .. } => Fault::Peer,
            Self::Path { .. } | Self::NotAnImage { .. } | Self::BadName(_) | Self::Ambiguous(_) => {
                Fault::Caller
            }
            Self::NoImage(_) => Fault::NotFound,
        }
    }
}

/// For `map_err`: what could not be done, and with which file.
pub(crate) fn at<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> ImageError + 'a {
    move |source| ImageError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}
