//! QEMU's program: where it is, how old it is, and which processors it knows.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::machine::CpuModel;

/// An answer about itself it gives within this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// The oldest version with all that is asked of it (`-sandbox`, `clock=vm`, templates by `x-ignore-shared`); older ones were not tried.
const LEAST: (u32, u32) = (6, 0);

/// A program of QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emulator {
    /// Where it is.
    pub program: PathBuf,
    /// Its version, as it prints it.
    pub version: String,
}

/// There is no emulator to be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// It is not there.
    #[error("{} is not there; Debian's package qemu-system-x86 has it, Guix's and Nix's are called qemu", .0.display())]
    Missing(PathBuf),
    /// It cannot be run.
    #[error("{} cannot be run", .0.display())]
    Run(PathBuf, #[source] io::Error),
    /// It does not say what it is.
    #[error("{} is no QEMU: asked for its version, it says {said:?}", program.display())]
    Other {
        /// The program.
        program: PathBuf,
        /// The beginning of what it says.
        said: String,
    },
    /// It does not answer.
    #[error("{} has not answered within 20 s", .0.display())]
    Silent(PathBuf),
    /// It is too old.
    #[error("{} is QEMU {version}, and at least {}.{} is needed", program.display(), LEAST.0, LEAST.1)]
    Old {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: String,
    },
    /// It does not know that processor.
    #[error("{} does not know a processor {model}{}", program.display(), hint(suggestions))]
    Cpu {
        /// The program.
        program: PathBuf,
        /// The processor.
        model: CpuModel,
        /// Those whose names are like it.
        suggestions: Vec<String>,
    },
}

fn hint(suggestions: &[String]) -> String {
    match suggestions {
        [] => String::new(),
        some => format!("; there is {}", some.join(", ")),
    }
}

impl Emulator {
    /// Looks at the program of that name, in `search` if the name has no directory.
    ///
    /// # Errors
    ///
    /// It is not there, no QEMU, or too old.
    pub async fn find(name: &Path, search: &[PathBuf]) -> Result<Self, EmulatorError> {
        let program = Self::locate(name, search)?;
        let version = Self::version(&program).await?;
        Ok(Self { program, version })
    }

    /// Where it is.
    pub(super) fn locate(name: &Path, search: &[PathBuf]) -> Result<PathBuf, EmulatorError> {
        if name.components().count() > 1 {
            return Ok(name.to_owned());
        }
        let places = search.iter().map(|directory| directory.join(name));
        let mut there = places.filter(|place| place.is_file());
        let missing = || EmulatorError::Missing(name.to_owned());
        there.next().ok_or_else(missing)
    }

    /// Its version, which is not too old.
    pub(super) async fn version(program: &Path) -> Result<String, EmulatorError> {
        let output = ask(program, &["--version"]).await?;
        let said = String::from_utf8_lossy(&output.stdout);
        let first = said.lines().next().unwrap_or_default();
        let program = program.to_owned();
        let Some(version) = first.strip_prefix("QEMU emulator version ") else {
            let said = first.chars().take(80).collect();
            return Err(EmulatorError::Other { program, said });
        };
        let version = version.to_owned();
        if number(&version) < LEAST {
            return Err(EmulatorError::Old { program, version });
        }
        Ok(version)
    }

    /// The processors that it knows.
    pub(super) async fn models(program: &Path) -> Result<Vec<String>, EmulatorError> {
        let output = ask(program, &["-cpu", "help"]).await?;
        Ok(models(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Sees to it that it knows that processor.
    ///
    /// # Errors
    ///
    /// It does not, and here are some that it knows.
    pub async fn check_cpu(&self, model: &CpuModel) -> Result<(), EmulatorError> {
        self.choose(model, &Self::models(&self.program).await?)
    }

    /// Whether that processor is one of those that it knows.
    pub(super) fn choose(&self, model: &CpuModel, known: &[String]) -> Result<(), EmulatorError> {
        if known.iter().any(|one| one == model.base()) {
            return Ok(());
        }
        Err(EmulatorError::Cpu {
            program: self.program.clone(),
            model: model.clone(),
            suggestions: like(model.base(), known),
        })
    }
}

async fn ask(program: &Path, arguments: &[&str]) -> Result<Output, EmulatorError> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| EmulatorError::Silent(program.to_owned()))?;
    output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => EmulatorError::Missing(program.to_owned()),
        _ => EmulatorError::Run(program.to_owned(), error),
    })
}

/// Major and minor: `7.2.22 (Debian …)` is (7, 2).
fn number(version: &str) -> (u32, u32) {
    let mut parts = version
        .split(['.', ' '])
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The models of `-cpu help`: the word after `x86`, or the first of an indented line, until the CPUID flags begin.
fn models(help: &str) -> Vec<String> {
    let lines = help
        .lines()
        .take_while(|line| !line.starts_with("Recognized"));
    let lines = lines.filter(|line| !line.ends_with(':'));
    let words = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("x86" | "PowerPC" | "s390") => words.next(),
            first => first,
        }
    });
    words.map(str::to_owned).collect()
}

/// At most five names that are most like it.
fn like(model: &str, known: &[String]) -> Vec<String> {
    let lower = model.to_lowercase();
    let mut far: Vec<(usize, &String)> = known
        .iter()
        .map(|name| (strsim::levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance * 2 <= name.len().max(lower.len()))
        .collect();
    far.sort();
    far.into_iter()
        .take(5)
        .map(|(_, name)| name.clone())
        .collect()
}

/// What an emulator lacks of what a processor has, from what it complains of.
///
/// QEMU goes on without, and says so on standard error: `TCG doesn't support requested feature: CPUID.01H:ECX.x2apic [bit 21]`.
#[must_use]
pub fn missing_features(complaints: &str) -> Vec<String> {
    let lines = complaints.lines().filter_map(|line| {
        let (_, feature) = line.split_once("support requested feature: ")?;
        let feature = feature.split(" [bit").next()?;
        let name = feature.rsplit('.').next()?;
        Some(name.trim().to_owned())
    });
    let mut features: Vec<String> = lines.filter(|name| !name.is_empty()).collect();
    features.sort();
    features.dedup();
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(number("7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b2)"), (7, 2));
        assert_eq!(number("10.0"), (10, 0));
        assert_eq!(number("x"), (0, 0));
    }

    #[test]
    fn models_are_those_before_the_flags() {
        let help = "Available CPUs:\nx86 Broadwell             (alias configured by machine type)\nx86 max   Enables all\n\nRecognized CPUID flags:\n  3dnow 3dnowext\n";
        assert_eq!(models(help), ["Broadwell", "max"]);
        let help = "Available CPUs:\n  cortex-a53\n  max\n";
        assert_eq!(models(help), ["cortex-a53", "max"]);
    }

    #[test]
    fn suggestions_are_alike() {
        let known: Vec<String> = [
            "Westmere",
            "Westmere-v1",
            "Haswell",
            "max",
            "Skylake-Client",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(like("westmer", &known), ["Westmere", "Westmere-v1"]);
        assert_eq!(like("Pentium", &known), [""; 0]);
    }

    #[test]
    fn what_is_lacking_is_read_from_complaints() {
        let text = "qemu-system-x86_64: warning: TCG doesn't support requested feature: CPUID.01H:ECX.x2apic [bit 21]\n\
                    other\nqemu-system-x86_64: warning: host doesn't support requested feature: CPUID.07H:EBX.avx512f [bit 16]\n\
                    qemu-system-x86_64: warning: TCG doesn't support requested feature: CPUID.01H:ECX.x2apic [bit 21]\n";
        assert_eq!(missing_features(text), ["avx512f", "x2apic"]);
    }
}
