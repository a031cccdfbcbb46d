//! What a host asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::handshake::ChannelSecret;

/// The newest version of the protocol that is spoken here.
pub const VERSION: u32 = 2;
/// The first version with [`Request::Listen`].
pub const VERSION_OF_LISTEN: u32 = 2;
/// The fewest bytes of a seed.
pub const MIN_SEED: usize = 32;
/// The most bytes of a seed.
pub const MAX_SEED: usize = 256;

/// What follows the nonce when a host begins a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hello {
    /// The newest version of the protocol that the host speaks. The guest chooses one that is not newer.
    pub version: u32,
}

impl Hello {
    /// What this version says.
    #[must_use]
    pub fn current() -> Self {
        Self { version: VERSION }
    }
}

/// What a stream of the control port is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Request {
    /// Nothing. Answered, it shows that the guest is alive.
    Ping,
    /// Run a program.
    Exec(Exec),
    /// Write a file. Its bytes follow on channel 0.
    Put(Put),
    /// Send a regular file's bytes on channel 0.
    Get {
        /// Absolute, without `..`.
        path: String,
    },
    /// Send a signal to the processes of a stream.
    Kill {
        /// The stream that an [`Exec`] opened.
        stream: u32,
        /// The signal's number on the guest's Linux.
        signal: i32,
    },
    /// Mix into the kernel's random numbers and draw a new key of theirs at once: clones of one machine would draw the same otherwise.
    Seed {
        /// From [`MIN_SEED`] to [`MAX_SEED`] bytes, from the host's own random numbers.
        bytes: Vec<u8>,
    },
    /// Set the guest's clock.
    Clock {
        /// Milliseconds since 1970, UTC. May be negative.
        unix_ms: i64,
    },
    /// Kill everything, write everything, switch off.
    PowerOff,
    /// Listen on AF_VSOCK, for whoever knows the secret. Each connection is a control port of its own, behind a [handshake](super::handshake).
    /// Asked for again, the earlier secret is worth nothing; connections go on.
    Listen {
        /// The secret.
        secret: ChannelSecret,
        /// The CID that connections have to come from; all others are cut.
        peer: u32,
    },
}

/// A program to run. It leads a process group of its own, which is killed if the stream is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exec {
    /// A path, or a name that is looked for in the environment's `PATH`.
    pub program: String,
    /// Arguments, without the program's name.
    pub arguments: Vec<String>,
    /// The whole environment; the guest's own is not inherited.
    pub environment: BTreeMap<String, String>,
    /// Where to run it.
    pub directory: String,
    /// A name of the guest's `/etc/passwd`, or a number; none: root.
    pub user: Option<String>,
    /// Whether input follows on channel 0. If not, it reads from `/dev/null`.
    pub stdin: bool,
}

impl Exec {
    /// Runs `program` in `/` as root, with a usual `PATH` and no input.
    pub fn new(program: impl Into<String>) -> Self {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::from([("PATH".into(), path.into())]),
            directory: "/".into(),
            user: None,
            stdin: false,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Where to run it.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<String>) -> Self {
        self.directory = directory.into();
        self
    }

    /// As whom to run it.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// It gets input.
    #[must_use]
    pub fn with_stdin(mut self) -> Self {
        self.stdin = true;
        self
    }
}

/// A file to write. It appears under its name with all its bytes or not at all. Directories above it are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Put {
    /// Absolute, without `..`. For a secret: on a tmpfs, such as `/run`.
    pub path: String,
    /// Permissions, at most 0o7777.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// The hash that the bytes have to have.
    pub sha256: Digest,
}

impl Put {
    /// A file of root's that everybody may read.
    pub fn new(path: impl Into<String>, size: u64, sha256: Digest) -> Self {
        Self {
            path: path.into(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            size,
            sha256,
        }
    }

    /// A file of root's with these bytes.
    pub fn of(path: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(path, bytes.len() as u64, Digest::of(bytes))
    }

    /// With these permissions.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Of this user and group.
    #[must_use]
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }
}

/// What is wrong with a path, if anything: it has to be absolute and to name a file, without `.` and `..`.
///
/// # Errors
///
/// What is wrong, to be said to the caller.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("the path is not absolute");
    }
    if path.contains('\0') {
        return Err("the path has a zero byte in it");
    }
    if path.ends_with('/') {
        return Err("the path names no file");
    }
    if path.split('/').any(|part| part == ".." || part == ".") {
        return Err("the path has . or .. in it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_files_and_lead_nowhere_else() {
        for good in ["/a", "/a/b..c", "//a/..."] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in [
            "", "a", "/", "/a/", "/..", "/a/../b", "/a/..", "/./a", "/a\0b",
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    /// What is in a frame is a format: it does not change by accident.
    #[test]
    fn requests_are_written_so() {
        let exec = Request::Exec(Exec::new("sh").arg("-c").user("nobody"));
        let put = Request::Put(Put::of("/run/key", b"").mode(0o600));
        let texts = [
            (
                exec,
                r#"{"exec":{"program":"sh","arguments":["-c"],"environment":{"PATH":"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},"directory":"/","user":"nobody","stdin":false}}"#,
            ),
            (
                put,
                r#"{"put":{"path":"/run/key","mode":384,"uid":0,"gid":0,"size":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#,
            ),
            (Request::Ping, r#""ping""#),
            (
                Request::Kill {
                    stream: 7,
                    signal: 15,
                },
                r#"{"kill":{"stream":7,"signal":15}}"#,
            ),
            (
                Request::Clock { unix_ms: -1 },
                r#"{"clock":{"unix_ms":-1}}"#,
            ),
            (Request::PowerOff, r#""power-off""#),
            (
                Request::Listen {
                    secret: ChannelSecret::new([0xa7; 32]),
                    peer: 2,
                },
                r#"{"listen":{"secret":"a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7","peer":2}}"#,
            ),
        ];
        for (request, text) in texts {
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
        }
    }
}
