//! What happens while an image is made.

use crate::image::ImageId;

/// A step of making an image, for whoever waits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Another process or thread makes an image in this store; it goes on when that one is done.
    Waiting,
    /// The lists of packages are fetched.
    UpdatingLists,
    /// It is known what the image is made of.
    Resolved {
        /// Packages, the kernel's included.
        packages: usize,
        /// Bytes of those that have to be fetched.
        bytes: u64,
    },
    /// Packages are fetched.
    Fetching {
        /// How much of it is done, from 0 to 1.
        share: f32,
    },
    /// A package is unpacked.
    Unpacking {
        /// Its name.
        package: String,
        /// Which one this is, from 1.
        index: usize,
        /// Of how many.
        of: usize,
    },
    /// A file of the image is written.
    Writing {
        /// Its name in the image's directory.
        file: &'static str,
    },
    /// Something is not as it could be; the image is made all the same.
    Warning(String),
    /// The image is there.
    Done {
        /// Which one it is.
        id: ImageId,
        /// Whether it had been there before.
        reused: bool,
    },
}
