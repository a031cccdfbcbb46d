//! What small derivations do.

use serde::{Deserialize, Serialize};

/// Something that a build of a suite does. Whoever has a shell runs [`Step::shell`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Says a line.
    Say(String),
    /// Says the numbers from 1 to this one, a line each.
    Count(u32),
    /// Makes an output: a file with this text.
    Write {
        /// Its name.
        output: String,
        /// What it consists of.
        text: String,
    },
    /// Makes an output: an executable file with this text, which only its owner may read.
    Program {
        /// Its name.
        output: String,
        /// What it consists of.
        text: String,
    },
    /// Makes an output: a file with the path of another one, or of itself.
    Refer {
        /// Its name.
        output: String,
        /// The name of the other.
        to: String,
    },
    /// Makes an output: a copy of an input, a file.
    Copy {
        /// Its name.
        output: String,
        /// The input's path.
        from: String,
    },
    /// Waits for ten minutes, in a process that has this word in its command line.
    Wait(String),
    /// Leaves a process behind that waits so.
    Leave(String),
    /// Ends the build with this status.
    Exit(i32),
}

impl Step {
    /// The same for a POSIX shell that has `cat`, `chmod`, `seq` and `sleep`; `sh` has to start
    /// another shell. Outputs are in variables of their names.
    #[must_use]
    pub fn shell(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let wait = |word: &str| format!("sh -c 'sleep 600; : {word}'");
        match self {
            Self::Say(line) => format!("printf '%s\\n' {}", quoted(line)),
            Self::Count(last) => format!("seq 1 {last}"),
            Self::Write { output, text } => format!("printf '%s' {} > \"${output}\"", quoted(text)),
            Self::Program { output, text } => format!(
                "printf '%s' {} > \"${output}\"; chmod 700 \"${output}\"",
                quoted(text)
            ),
            Self::Refer { output, to } => format!("printf '%s' \"${to}\" > \"${output}\""),
            Self::Copy { output, from } => format!("cat {} > \"${output}\"", quoted(from)),
            Self::Wait(word) => wait(word),
            Self::Leave(word) => format!("{} > /dev/null 2>&1 &", wait(word)),
            Self::Exit(status) => format!("exit {status}"),
        }
    }
}
