//! Where a decoder is.

use crate::nar::wire;

#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// In the midst of bytes that are always the same.
    Literal(Literal, usize),
    Type,
    ExecutableOrContents,
    EntryOrClose,
    Size {
        executable: bool,
    },
    Length(Text),
    Text(Text, usize),
    Data {
        left: u64,
        padding: usize,
    },
    Padding(usize),
    End,
}

/// Runs of bytes without alternative.
#[derive(Debug, Clone, Copy)]
pub(super) enum Literal {
    Magic,
    Node,
    Name,
    Target,
    Directory,
    Executable,
    /// After a file or symbolic link; in a directory the end of the entry too.
    Close {
        regular: bool,
    },
    /// After a directory within another.
    CloseEntry,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    Name,
    Target,
}

impl State {
    /// What should come at this place.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Literal(Literal::Magic, _) => "`nix-archive-1`, `(` and `type`",
            Self::Literal(Literal::Node, _) => "`node`, `(` and `type`",
            Self::Literal(Literal::Name, _) => "`(` and `name`",
            Self::Literal(Literal::Target, _) => "`target`",
            Self::Literal(Literal::Directory, _) | Self::Type => {
                "`regular`, `symlink` or `directory`"
            }
            Self::Literal(Literal::Executable, _) => "`executable`, an empty string and `contents`",
            Self::Literal(Literal::Close { .. } | Literal::CloseEntry, _) => "`)`",
            Self::ExecutableOrContents => "`executable` or `contents`",
            Self::EntryOrClose => "`entry` or `)`",
            Self::Size { .. } => "a file's size",
            Self::Length(Text::Name) => "a name's length",
            Self::Length(Text::Target) => "a target's length",
            Self::Text(Text::Name, _) => "a name",
            Self::Text(Text::Target, _) => "a target",
            Self::Data { .. } => "a file's contents",
            Self::Padding(_) => "padding",
            Self::End => "nothing",
        }
    }
}

impl Literal {
    /// Its bytes, which after a file depend on whether a directory is open.
    pub(super) const fn bytes(self, depth: usize) -> &'static [u8] {
        match self {
            Self::Magic => wire::MAGIC,
            Self::Node => wire::NODE,
            Self::Name => wire::NAME,
            Self::Target => wire::TARGET,
            Self::Directory => wire::DIRECTORY_REST,
            Self::Executable => wire::EXECUTABLE_REST,
            Self::Close { .. } if depth > 0 => wire::CLOSE_BOTH,
            Self::Close { .. } | Self::CloseEntry => wire::CLOSE,
        }
    }
}
