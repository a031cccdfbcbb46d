//! What is going on, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::Duration;

use grange_coordinator::client::Progress;
use grange_derivation::StorePath;
use grange_interfaces::message::FactView;
use grange_model::{BuildId, BuildState};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often clocks and spinners move.
const TICK: Duration = Duration::from_millis(200);

/// A bar for each running build and the counts by state; lines where there is no terminal.
#[derive(Debug)]
pub struct Display {
    mode: Mode,
    /// Derivations whose builds are shown; the others are somebody else's.
    derivations: BTreeSet<String>,
    builds: BTreeMap<BuildId, BuildState>,
}

#[derive(Debug)]
enum Mode {
    Silent,
    Lines,
    Bars {
        all: MultiProgress,
        counts: ProgressBar,
        running: BTreeMap<String, ProgressBar>,
    },
}

impl Display {
    /// Shows builds of these derivations on standard error. Nothing unless `show`.
    pub fn new(
        show: bool,
        derivations: BTreeSet<String>,
        builds: impl IntoIterator<Item = BuildId>,
    ) -> Self {
        let mode = match show {
            false => Mode::Silent,
            true if !std::io::stderr().is_terminal() => Mode::Lines,
            true => {
                let all = MultiProgress::new();
                let counts = all.add(ProgressBar::new(0).with_style(style("{bar:24} {msg}")));
                counts.enable_steady_tick(TICK);
                Mode::Bars {
                    all,
                    counts,
                    running: BTreeMap::new(),
                }
            }
        };
        let builds = builds
            .into_iter()
            .map(|build| (build, BuildState::Ready))
            .collect();
        Self {
            mode,
            derivations,
            builds,
        }
    }

    /// Something happened.
    pub fn fact(&mut self, fact: &FactView) {
        let path = fact.path.clone().unwrap_or_default();
        if !self.derivations.contains(&path) {
            return;
        }
        match fact.what.as_str() {
            "submitted" => self.set(&fact.builds, BuildState::Ready),
            "started" => {
                self.set(&fact.builds, BuildState::Running);
                self.start(&path);
            }
            "setup-failed" => {
                self.set(&fact.builds, BuildState::Ready);
                self.stop(&path);
                self.line(&format!("{:>17}  {}", "not begun", short(&path)));
            }
            "expired" => self.line(&format!("{:>17}  {}", "agent not heard of", short(&path))),
            "reopened" => self.set(&fact.builds, BuildState::Blocked),
            "ended" => {
                let state = fact.state.unwrap_or(BuildState::Failed);
                self.set(&fact.builds, state);
                self.stop(&path);
                self.line(&format!("{:>17}  {}", state.as_str(), short(&path)));
            }
            _ => {}
        }
        self.count();
    }

    /// Nothing more will happen: takes the bars away.
    pub fn end(&mut self) {
        if let Mode::Bars {
            all,
            counts,
            running,
        } = &mut self.mode
        {
            running.values().for_each(ProgressBar::finish_and_clear);
            counts.finish_and_clear();
            // A terminal that is gone needs no clearing.
            let _ = all.clear();
        }
        self.mode = Mode::Silent;
    }

    fn set(&mut self, builds: &[BuildId], state: BuildState) {
        self.builds
            .extend(builds.iter().map(|build| (*build, state)));
    }

    fn start(&mut self, path: &str) {
        match &mut self.mode {
            Mode::Bars {
                all,
                counts,
                running,
            } => {
                let bar =
                    ProgressBar::new_spinner().with_style(style("{spinner} {elapsed:>4} {msg}"));
                let bar = all.insert_before(counts, bar);
                bar.set_message(short(path));
                bar.enable_steady_tick(TICK);
                if let Some(former) = running.insert(path.to_owned(), bar) {
                    former.finish_and_clear();
                }
            }
            Mode::Lines => self.line(&format!("{:>17}  {}", "building", short(path))),
            Mode::Silent => {}
        }
    }

    fn stop(&mut self, path: &str) {
        if let Mode::Bars { running, .. } = &mut self.mode
            && let Some(bar) = running.remove(path)
        {
            bar.finish_and_clear();
        }
    }

    fn line(&self, line: &str) {
        match &self.mode {
            Mode::Silent => {}
            Mode::Lines => eprintln!("{line}"),
            Mode::Bars { all, .. } => {
                let _ = all.println(line);
            }
        }
    }

    fn count(&self) {
        let Mode::Bars { counts, .. } = &self.mode else {
            return;
        };
        let mut by_state: BTreeMap<BuildState, u64> = BTreeMap::new();
        self.builds
            .values()
            .for_each(|state| *by_state.entry(*state).or_default() += 1);
        let ended = by_state
            .iter()
            .filter(|(state, _)| state.is_final())
            .map(|(_, count)| count)
            .sum();
        counts.set_length(self.builds.len() as u64);
        counts.set_position(ended);
        counts.set_message(counts_text(&by_state));
    }
}

fn counts_text(by_state: &BTreeMap<BuildState, u64>) -> String {
    // What is submitted is told without its state: whether it waits for an input or for an agent is not shown.
    let word = |state: BuildState| match state {
        BuildState::Blocked | BuildState::Ready => "waiting",
        state => state.as_str(),
    };
    let mut by_word: Vec<(&str, u64)> = Vec::new();
    for (state, count) in by_state {
        match by_word.iter_mut().find(|(known, _)| *known == word(*state)) {
            Some((_, sum)) => *sum += count,
            None => by_word.push((word(*state), *count)),
        }
    }
    let parts: Vec<String> = by_word
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    parts.join(", ")
}

/// What people call a derivation: its name without hash and `.drv`.
#[must_use]
pub fn short(path: &str) -> String {
    match StorePath::parse_any(path) {
        Ok(path) => path
            .derivation_name()
            .unwrap_or_else(|| path.name())
            .to_owned(),
        Err(_) => path.to_owned(),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("our own templates are well-formed")
}

/// How much of what the coordinator lacks has arrived.
#[derive(Debug)]
pub struct Uploading(Option<ProgressBar>);

impl Uploading {
    /// Shows it on standard error if that is a terminal. Nothing unless `show`.
    #[must_use]
    pub fn new(show: bool) -> Self {
        let bar = (show && std::io::stderr().is_terminal())
            .then(|| ProgressBar::new(0).with_style(style("{bar:24} sending {msg}")));
        Self(bar)
    }

    /// So far.
    pub fn show(&self, progress: &Progress) {
        let Some(bar) = &self.0 else { return };
        bar.set_length(progress.derivations + progress.sources);
        bar.set_position(progress.sent.derivations + progress.sent.sources);
        let sent = &progress.sent;
        bar.set_message(format!(
            "{}/{} derivations, {}/{} sources, {} KiB",
            sent.derivations,
            progress.derivations,
            sent.sources,
            progress.sources,
            sent.bytes.div_ceil(1024)
        ));
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_by_state_in_the_order_of_a_builds_life() {
        let counts = [
            (BuildState::Succeeded, 7),
            (BuildState::Blocked, 2),
            (BuildState::Ready, 3),
            (BuildState::Running, 1),
        ];
        assert_eq!(
            counts_text(&counts.into()),
            "5 waiting, 1 running, 7 succeeded"
        );
    }

    #[test]
    fn people_see_names() {
        assert_eq!(
            short("/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv"),
            "hello-2.12.2"
        );
        assert_eq!(short("x"), "x");
    }
}
