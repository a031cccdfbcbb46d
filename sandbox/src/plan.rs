//! What the builder tells the helper process, and what that reports.
//!
//! Both go over one stream socket, the helper's standard input: frames of a length (4 bytes, little-endian) and so many
//! bytes of postcard. Both ends are the same program, so the form needs no versions. That the builder's end is closed
//! means: kill the build.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A path or another text of the kernel's: any bytes but NUL.
pub(crate) type Raw = Vec<u8>;

/// No frame may be longer, in bytes: a derivation's environment is in one.
const MAX_FRAME: usize = 1 << 30;

/// All that the helper has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Who the build is.
    pub identity: Identity,
    /// Whether the build sees the machine's network, or a loopback device of its own.
    pub host_network: bool,
    /// What the build sees as `/`.
    pub root: Root,
    /// What is run; none to see whether all else can be done.
    pub process: Option<Process>,
}

/// User and group of the build, as it sees them and as the machine sees them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub inside: Ids,
    pub outside: Ids,
    /// Whether the helper may map more than its own user, that is: whether it is root.
    pub privileged: bool,
    /// Whether the group is also among the supplementary groups. Only if privileged: others cannot change theirs.
    pub in_own_group: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub uid: u32,
    pub gid: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Root {
    /// A root of its own.
    Private(PrivateRoot),
    /// The machine's, all of it read-only, with a `/tmp` of its own. Directories of the machine are shown there, to be
    /// written to: each with the path, below `/tmp`, that it gets.
    Machine { writable: Vec<(Raw, Raw)> },
}

/// A root of its own: an in-memory file system, read-only once it is filled. Paths in it have no `/` in front.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PrivateRoot {
    /// An empty directory of the machine, to mount on.
    pub at: Raw,
    /// Directories, those around others before them.
    pub directories: Vec<Raw>,
    /// Files and their contents.
    pub files: Vec<(Raw, Vec<u8>)>,
    /// Symbolic links and their targets.
    pub links: Vec<(Raw, Raw)>,
    /// What is shown of the machine's file system, in order.
    pub binds: Vec<Bind>,
    /// What of the machine's `/dev` is shown.
    pub devices: Vec<Raw>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bind {
    /// On the machine.
    pub source: Raw,
    /// In the root.
    pub target: Raw,
    /// What is made there to mount on, with the directories around it.
    pub node: Node,
    pub writable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Node {
    Directory,
    File,
}

/// What is run, as process 1 of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    pub program: Raw,
    /// Argument 0 included.
    pub arguments: Vec<Raw>,
    /// `NAME=VALUE`.
    pub environment: Vec<Raw>,
    pub directory: Raw,
    /// Where the program must lie, symbolic links followed; anywhere if there is none.
    pub allowed: Vec<Raw>,
    /// Whether the machine shall call itself a 32-bit one.
    pub linux32: bool,
    /// Whether setting the set-user-ID and set-group-ID bits and extended attributes is refused, as Nix does.
    pub refuse_privileged_modes: bool,
    /// Soft and hard limits: `RLIMIT_…` and value.
    pub limits: Vec<ResourceLimit>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ResourceLimit {
    pub resource: Resource,
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Resource {
    CoreBytes,
    AddressSpaceBytes,
    Processes,
    OpenFiles,
    FileBytes,
}

/// What the helper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The program runs.
    Started,
    /// Nothing runs any more.
    Ended {
        end: End,
        /// The most bytes of memory that any one process of it had.
        peak_memory: u64,
    },
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Exited(i32),
    Signaled(i32),
    /// The program was never run.
    NotRun(Obstacle),
}

/// Why the program was not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Obstacle {
    /// These namespaces cannot be made.
    Namespaces { missing: Vec<String>, errno: i32 },
    /// A step before it failed.
    Step { what: String, errno: i32 },
    /// The program cannot be executed.
    Program { what: String },
}

/// Writes one frame.
pub(crate) fn write_frame(out: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    out.write_all(&encode_frame(message)?)
}

/// One frame.
pub(crate) fn encode_frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    frame = postcard::to_extend(message, frame).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Reads one frame.
pub(crate) fn read_frame<M: DeserializeOwned>(source: &mut impl Read) -> io::Result<M> {
    let mut length = [0; 4];
    source.read_exact(&mut length)?;
    let length = frame_length(length)?;
    let mut frame = vec![0; length];
    source.read_exact(&mut frame)?;
    decode_frame(&frame)
}

/// The length that a frame begins with.
pub(crate) fn frame_length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).map_err(io::Error::other)?;
    if length > MAX_FRAME {
        Err(io::ErrorKind::InvalidData.into())
    } else {
        Ok(length)
    }
}

/// What is in a frame.
pub(crate) fn decode_frame<M: DeserializeOwned>(frame: &[u8]) -> io::Result<M> {
    postcard::from_bytes(frame).map_err(io::Error::other)
}
