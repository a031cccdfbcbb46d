//! Whether tests notice when the code is changed: mutants drawn by chance, with cargo-mutants.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;

/// Mutants of a crate that compile and are tried.
const COUNT: usize = 100;

/// The crates that must stand it.
const PACKAGES: [&str; 3] = [
    "grange-coordinator-core",
    "grange-derivation",
    "grange-store-sqlite",
];

/// `cargo xtask mutants`, with these arguments.
pub(crate) fn mutants(arguments: &[&str]) -> Result<()> {
    let (mut seed, mut count, mut packages) = (1, COUNT, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let given = arguments
                .next()
                .with_context(|| format!("{argument} wants a number"))?;
            given
                .parse()
                .with_context(|| format!("{argument} wants a number"))
        };
        match *argument {
            "--seed" => seed = number()?,
            "--count" => count = usize::try_from(number()?)?,
            option if option.starts_with('-') => bail!("there is no option {option}"),
            package => packages.push(package),
        }
    }
    if packages.is_empty() {
        packages = PACKAGES.to_vec();
    }
    for package in packages {
        let tried = try_package(package, seed, count)?;
        tried.tell(package, seed);
    }
    Ok(())
}

/// What came of the mutants of a crate.
#[derive(Default)]
struct Tried {
    all: usize,
    unviable: usize,
    caught: usize,
    timeouts: usize,
    survivors: Vec<String>,
}

impl Tried {
    fn viable(&self) -> usize {
        self.caught + self.timeouts + self.survivors.len()
    }

    fn tell(&self, package: &str, seed: u64) {
        let percent = self.survivors.len() as f64 * 100.0 / self.viable().max(1) as f64;
        eprintln!(
            "xtask: {package}: seed {seed}: of {} mutants, {} do not compile, {} were tried: {} caught, {} without end, {} \
             survive ({percent:.1} %)",
            self.all,
            self.unviable,
            self.viable(),
            self.caught,
            self.timeouts,
            self.survivors.len(),
        );
        for survivor in &self.survivors {
            eprintln!("    {survivor}");
        }
    }
}

/// Draws mutants until so many were tried.
fn try_package(package: &str, seed: u64, count: usize) -> Result<Tried> {
    let mut left = list(package)?;
    shuffle(&mut left, seed);
    let mut tried = Tried {
        all: left.len(),
        ..Tried::default()
    };
    while tried.viable() < count && !left.is_empty() {
        let wanted = (count - tried.viable()).min(left.len());
        let drawn: BTreeSet<String> = left.split_off(left.len() - wanted).into_iter().collect();
        let place = run::root().join("target/mutants").join(package);
        run_some(package, &drawn, &place)?;
        read(&place.join("mutants.out/outcomes.json"), &drawn, &mut tried)?;
    }
    Ok(tried)
}

/// All mutants, by name.
fn list(package: &str) -> Result<Vec<String>> {
    let listed = Command::new("cargo")
        .args([
            "mutants",
            "--list",
            "--colors",
            "never",
            "--package",
            package,
        ])
        .current_dir(run::root())
        .output()
        .context("cannot run cargo")?;
    if !listed.status.success() {
        bail!(
            "`cargo install cargo-mutants` first: {}",
            String::from_utf8_lossy(&listed.stderr).trim()
        );
    }
    let listed = String::from_utf8(listed.stdout).context("the list of mutants is garbled")?;
    let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Fisher and Yates, with SplitMix64: the same seed draws the same.
fn shuffle(names: &mut [String], mut seed: u64) {
    for at in (1..names.len()).rev() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let with = mixed % (at as u64 + 1);
        names.swap(at, usize::try_from(with).unwrap_or(at));
    }
}

fn run_some(package: &str, names: &BTreeSet<String>, place: &Path) -> Result<()> {
    fs::create_dir_all(place).with_context(|| place.display().to_string())?;
    // A file, since that is more than a command line holds.
    let config = place.join("mutants.toml");
    let patterns = names
        .iter()
        .map(|name| Value::from(format!("^{}$", escaped(name))));
    let patterns = Value::Array(patterns.collect());
    fs::write(&config, format!("examine_re = {patterns}\n"))?;
    let status = Command::new("cargo")
        .args(["mutants", "--colors", "never", "--package", package])
        .args(["--config".as_ref(), config.as_os_str()])
        .args(["--output".as_ref(), place.as_os_str()])
        .current_dir(run::root())
        .status()
        .context("cannot run cargo")?;
    // 2: some were missed; 3: some took too long.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        bail!("cargo mutants ended with {status}");
    }
    Ok(())
}

/// For a regular expression.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for character in name.chars() {
        if character.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

fn read(outcomes: &PathBuf, drawn: &BTreeSet<String>, tried: &mut Tried) -> Result<()> {
    let text = fs::read(outcomes).with_context(|| outcomes.display().to_string())?;
    let said: Value = serde_json::from_slice(&text)?;
    let outcomes = said["outcomes"]
        .as_array()
        .context("there are no outcomes")?;
    for outcome in outcomes {
        let Some(name) = outcome["scenario"]["Mutant"]["name"].as_str() else {
            continue;
        };
        if !drawn.contains(name) {
            bail!("{name} was not drawn");
        }
        match outcome["summary"].as_str() {
            Some("CaughtMutant") => tried.caught += 1,
            Some("Timeout") => tried.timeouts += 1,
            Some("Unviable") => tried.unviable += 1,
            Some("MissedMutant") => tried.survivors.push(name.to_owned()),
            summary => bail!("{name} ended as {summary:?}"),
        }
    }
    Ok(())
}
