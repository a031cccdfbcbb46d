//! What a run found, and what it did not look at.

use std::fmt;
use std::io;
use std::path::Path;

use grange_sandbox::NotSupported;

/// What came of a part of a run.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All went well: what was done.
    Found(String),
    /// It cannot be done here.
    Skipped(Skipped),
}

/// Why something was skipped.
#[derive(Debug)]
pub(crate) struct Skipped {
    why: String,
    /// Nothing that can be installed would help.
    by_kernel: bool,
}

impl Skipped {
    /// No file system can be mounted.
    pub(crate) fn no_file_system(error: &io::Error) -> Self {
        let device = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse");
        match device {
            Err(device) => Self {
                why: format!("the kernel has no FUSE for us: /dev/fuse: {device}"),
                by_kernel: true,
            },
            Ok(_) => Self {
                why: format!(
                    "no file system can be mounted: {error}; who is not root needs fusermount3{}",
                    if Path::new("/usr/bin/fusermount3").exists() {
                        ", which is there"
                    } else {
                        ", of Debian's package fuse3"
                    }
                ),
                by_kernel: false,
            },
        }
    }

    /// Nothing can be built.
    pub(crate) fn no_sandbox(error: &NotSupported) -> Self {
        Self {
            why: error.to_string(),
            by_kernel: !matches!(error, NotSupported::Helper(_)),
        }
    }
}

/// What a run found, part by part.
#[derive(Debug, Default)]
pub(crate) struct Summary(Vec<(&'static str, Outcome)>);

impl Summary {
    pub(crate) fn add(&mut self, part: &'static str, outcome: Outcome) {
        self.0.push((part, outcome));
    }

    /// Whether something was skipped that would not have to be.
    pub(crate) fn lacks(&self) -> bool {
        let mut all = self.0.iter();
        all.any(|(_, outcome)| matches!(outcome, Outcome::Skipped(skipped) if !skipped.by_kernel))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "summary:")?;
        for (part, outcome) in &self.0 {
            match outcome {
                Outcome::Found(found) => writeln!(f, "  {part}: {found}")?,
                Outcome::Skipped(skipped) => writeln!(f, "  {part}: SKIPPED: {}", skipped.why)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_stands_in_it_and_only_the_kernel_excuses() {
        let mut summary = Summary::default();
        summary.add("kills", Outcome::Found("10 kills".to_owned()));
        let skipped = |by_kernel| {
            Outcome::Skipped(Skipped {
                why: "there is none".to_owned(),
                by_kernel,
            })
        };
        summary.add("power", skipped(true));
        assert!(!summary.lacks());
        let text = summary.to_string();
        assert!(text.contains("kills: 10 kills\n"), "{text}");
        assert!(text.contains("power: SKIPPED: there is none\n"), "{text}");
        summary.add("disks", skipped(false));
        assert!(summary.lacks());
    }
}
