//! What differs between guix-daemon and nix-daemon, in one place.
//!
//! **Invariant:** nobody outside of this module asks which daemon it is.

mod guix;
mod nix;

use std::fmt;

use bytes::Bytes;
use grange_derivation::{Dialect, StoreDir, StorePath};
use grange_interfaces::{ItemInfo, Job};

use crate::config::FarmKey;
use crate::wire::{Cursor, Frame, ReadError, Request, Version, WireError};

/// How one kind of daemon speaks.
pub(crate) trait Speech: fmt::Debug + Send + Sync {
    /// The newest version that we speak.
    fn newest(&self) -> Version;

    /// Whether a daemon of this version can be spoken to.
    fn knows(&self, spoken: Version) -> bool;

    /// Which versions can be spoken to, for people.
    fn known(&self) -> &'static str;

    /// What the client says behind its version.
    fn introduce(&self, version: Version, request: &mut Request);

    /// What the daemon says then, up to the messages.
    fn introduction(
        &self,
        version: Version,
        cursor: &mut Cursor<'_>,
    ) -> Result<Introduction, ReadError>;

    /// Whether errors are structured.
    fn structured(&self, version: Version) -> bool;

    /// How to build.
    fn options(&self, options: &Options) -> Request;

    /// Which of these are valid.
    fn valid_paths(&self, paths: &[StorePath]) -> Request;

    /// What is known of an item: the answer.
    fn path_info(
        &self,
        store: &StoreDir,
        path: &StorePath,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<ItemInfo>, ReadError>;

    /// How an item gets in.
    fn way_in(&self, item: Incoming<'_>) -> WayIn;

    /// How an item's nar gets out.
    fn way_out(&self, path: &StorePath) -> (Request, WayOut);

    /// Whether the derivation, and so all that it refers to, has to be in the store.
    fn wants_derivation(&self) -> bool;

    /// Builds.
    fn build(&self, job: &Job) -> Request;

    /// What came of it.
    fn outcome(&self, version: Version, cursor: &mut Cursor<'_>) -> Result<Outcome, ReadError>;

    /// Follows a build of this derivation.
    fn watch(&self, derivation: &StorePath) -> Box<dyn Watch>;

    /// What lets a client with this key, or without one, do what an agent does.
    fn command(&self, key: Option<&FarmKey>) -> String;
}

/// The speech of a dialect.
pub(crate) fn speech(dialect: Dialect) -> &'static dyn Speech {
    match dialect {
        Dialect::Guix => &guix::Guix,
        Dialect::Nix => &nix::Nix,
    }
}

/// What a daemon says of itself and of us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// Its own version, such as `2.34.8`.
    pub daemon: Option<String>,
    /// Whether it trusts us, if it says.
    pub trusted: Option<bool>,
}

/// How to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub timeout_seconds: u64,
    pub max_silent_seconds: u64,
    pub cores: u32,
}

/// An item on its way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub info: &'a ItemInfo,
    /// What it consists of, if that is one plain file and small.
    pub text: Option<&'a Bytes>,
}

/// How an item gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WayIn {
    /// This is all of it.
    Whole(Request),
    /// This, and then the nar.
    Source(Request),
    /// This, and then an export in pieces, as they are asked for.
    Export(Request),
    /// This, and then the nar in frames.
    Framed(Request),
}

/// How a nar comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// In messages, with more behind it.
    Messages,
    /// Behind the last message.
    Raw,
}

/// How a build ended, as its result says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub built: bool,
    /// For people.
    pub message: String,
    /// Whether it ran too long or was silent too long.
    pub timed_out: bool,
    /// Whether outputs were not acceptable.
    pub rejected: bool,
}

/// Follows a build by what the daemon says.
pub(crate) trait Watch: Send {
    /// What a message means.
    fn see(&mut self, frame: Frame) -> Result<Vec<Seen>, WireError>;
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The builder was started.
    Started,
    /// The builder said something.
    Output(Bytes),
    /// The daemon does what it was not told to.
    Foreign(String),
    /// Why the build failed.
    Failed { message: String, timed_out: bool },
    /// A fixed output has another hash than it must.
    Mismatch(String),
    /// The daemon said something.
    Said(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            numbers in proptest::collection::vec(0u64..4, 0..40),
            minor in 33u64..40,
        ) {
            let mut request = Request::empty();
            for number in numbers {
                request.number(number);
            }
            for dialect in [Dialect::Guix, Dialect::Nix] {
                let (speech, store) = (speech(dialect), dialect.store_dir());
                let version = Version(0x100 + minor);
                let path = StorePath::new(&store, [0; 20], "x").unwrap();
                for bytes in [&bytes[..], request.as_bytes()] {
                    let _ = speech.introduction(version, &mut Cursor::new(bytes));
                    let _ = speech.path_info(&store, &path, &mut Cursor::new(bytes));
                    let _ = speech.outcome(version, &mut Cursor::new(bytes));
                    let mut watch = speech.watch(&path);
                    let mut cursor = Cursor::new(bytes);
                    while let Ok(frame) = Frame::read(&mut cursor, true) {
                        let _ = watch.see(frame);
                    }
                }
            }
        }
    }
}
