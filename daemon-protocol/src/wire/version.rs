//! Versions of the protocol.

use std::fmt;

/// What a client says first.
pub const CLIENT_MAGIC: u64 = 0x6e69_7863;
/// What a daemon says first.
pub const DAEMON_MAGIC: u64 = 0x6478_696f;

/// A version: the major number in the upper byte, the minor one in the lower. Displayed as daemons' sources write it,
/// such as `0x164`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The major number, 1 for every daemon of the last fifteen years.
    #[must_use]
    pub const fn major(self) -> u64 {
        self.0 >> 8
    }

    /// The minor number. Guix counts from 0x60 on, Nix from 1.
    #[must_use]
    pub const fn minor(self) -> u64 {
        self.0 & 0xff
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
