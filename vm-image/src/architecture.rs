//! Machines that images are for.

use std::fmt;

/// A kind of machine, by Debian's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit x86: `amd64`, `x86_64`.
    Amd64,
}

impl Architecture {
    /// Debian's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
        }
    }

    /// The one that has this name, Debian's or the kernel's.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "amd64" | "x86_64" => Some(Self::Amd64),
            _ => None,
        }
    }

    /// `e_machine` of its programs: the System V ABI's table of ELF machines.
    pub(crate) fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
