//! Why bytes are not what the protocol says.

/// Why something cannot be read from what has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It has not come whole: once more bytes are there, it is tried again from its start.
    Incomplete,
    /// It never will be right.
    Bad(WireError),
}

impl From<WireError> for ReadError {
    fn from(error: WireError) -> Self {
        Self::Bad(error)
    }
}

/// What is wrong with what a daemon says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Something is longer than anything that a daemon has reason to send.
    #[error("{what} of {length} is longer than the {limit} that are taken")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// How long it says it is, in bytes or items.
        length: u64,
        /// What is taken at most.
        limit: u64,
    },
    /// The bytes behind a string are not zeros.
    #[error("a string is padded with other bytes than zeros")]
    Padding,
    /// A truth value is neither 0 nor 1.
    #[error("{0} where 0 or 1 was expected")]
    Flag(u64),
    /// A message that the protocol does not know.
    #[error("{0:#x} is no message of the protocol")]
    Frame(u64),
    /// A message that has no place here.
    #[error("the message {0} has no place here")]
    Misplaced(&'static str),
    /// A field of an activity has a kind that the protocol does not know.
    #[error("{0} is no kind of field")]
    Field(u64),
    /// Something should be a store path.
    #[error("a store path was expected, and `{0}` came")]
    StorePath(String),
    /// Something should be a SHA-256.
    #[error("a SHA-256 was expected, and `{0}` came")]
    Hash(String),
    /// The other side is no daemon.
    #[error("{0:#x} is not how a daemon greets")]
    Magic(u64),
    /// A result is not one of those that are possible.
    #[error("the result {0} is not possible")]
    Result(u64),
}
