//! When to kill.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::processes::Place;
use crate::random::Random;

/// What is going on when a process is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// A client submits.
    Submit,
    /// A builder runs, or is about to.
    Build,
    /// A log has just grown on the coordinator's disk.
    Log,
    /// An output has begun to arrive.
    Upload,
    /// A commit of the coordinator is in its write-ahead log, or a result of the agent in its
    /// place; perhaps nobody was told.
    Commit,
}

impl Moment {
    pub(crate) const ALL: [Self; 5] = [
        Self::Submit,
        Self::Build,
        Self::Log,
        Self::Upload,
        Self::Commit,
    ];

    /// Begins to look. `coordinator`: it is the one to be killed.
    pub(crate) fn watch(self, place: &Place, agent_log: &Path, coordinator: bool) -> Watch {
        let uploads = place.directory.join("coordinator/artifacts/uploads");
        let sight = match self {
            Self::Submit => Sight::Nothing,
            Self::Build => Sight::Words(agent_log.to_owned(), "steps::build: building"),
            Self::Log => Sight::Files(uploads, |name| name.ends_with("-log")),
            Self::Upload => Sight::Files(uploads, |name| !name.ends_with("-log")),
            Self::Commit if coordinator => {
                Sight::Files(place.directory.join("coordinator"), |name| {
                    name.ends_with("-wal")
                })
            }
            Self::Commit => Sight::Files(place.directory.join("agent/attempts"), |name| {
                name == "result.json"
            }),
        };
        // What comes at once: the moment itself. What takes its time: somewhere in it.
        let spread = match self {
            Self::Submit => 60,
            Self::Build => 150,
            Self::Log | Self::Upload => 4,
            Self::Commit => 1,
        };
        Watch {
            before: sight.look(),
            sight,
            spread,
        }
    }
}

enum Sight {
    Nothing,
    /// How often a file says this.
    Words(PathBuf, &'static str),
    /// Sizes and times of files in a directory and those in it, by name.
    Files(PathBuf, fn(&str) -> bool),
}

/// What was seen; what comes to be is seen as something else.
#[derive(PartialEq)]
struct Seen(Vec<(PathBuf, u64, Option<std::time::SystemTime>)>, usize);

impl Sight {
    fn look(&self) -> Seen {
        match self {
            Self::Nothing => Seen(Vec::new(), 0),
            Self::Words(file, words) => {
                let text = fs::read(file).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                Seen(Vec::new(), text.matches(words).count())
            }
            Self::Files(directory, wanted) => {
                let mut seen = Vec::new();
                collect(directory, *wanted, &mut seen);
                seen.sort();
                Seen(seen, 0)
            }
        }
    }

    /// Whether anything is there now that was not there before.
    fn is_new(&self, before: &Seen) -> bool {
        match self {
            Self::Nothing => true,
            Self::Words(..) => self.look().1 > before.1,
            Self::Files(..) => self.look().0.iter().any(|file| !before.0.contains(file)),
        }
    }
}

fn collect(
    directory: &Path,
    wanted: fn(&str) -> bool,
    seen: &mut Vec<(PathBuf, u64, Option<std::time::SystemTime>)>,
) {
    // Files come and go meanwhile.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            collect(&entry.path(), wanted, seen);
        } else if wanted(&entry.file_name().to_string_lossy()) {
            seen.push((entry.path(), metadata.len(), metadata.modified().ok()));
        }
    }
}

/// Waits for a moment.
pub(crate) struct Watch {
    sight: Sight,
    before: Seen,
    /// Milliseconds.
    spread: u64,
}

impl Watch {
    pub(crate) fn wait(&self, random: &mut Random, end: Instant) {
        while !self.sight.is_new(&self.before) {
            assert!(Instant::now() < end, "the moment does not come");
            std::thread::sleep(Duration::from_micros(300));
        }
        std::thread::sleep(random.pause(self.spread));
    }
}
