//! Inputs that nobody thought of, with libFuzzer. The ordinary tests try the corpora and mutants of them; this needs
//! a build of its own, which takes some minutes.
//!
//! What a campaign finds grows in `target/fuzz/corpus` from one campaign to the next; `--keep` makes `fuzz/corpus` of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run;

/// Where everything lies that is not kept.
const PLACE: &str = "target/fuzz";

/// CPU minutes that each target gets if nobody says otherwise.
const MINUTES: f64 = 20.0;

/// A corpus that is kept has at most so many bytes: all of them together two MiB.
const MAX_CORPUS: u64 = 88 << 10;

/// CPU minutes of each target before a tree may land: enough to see that they can be built and run.
const SMOKE: f64 = 0.05;

/// Seconds after which an input is a finding: it takes too long.
const TIMEOUT: u32 = 20;

/// Coverage as libFuzzer wants it, as cargo-fuzz has rustc make it.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// The machine that it is built for: named, so that build scripts and macros are built without coverage.
const MACHINE: &str = "x86_64-unknown-linux-gnu";

/// `cargo xtask fuzz`, with these arguments.
pub(crate) fn fuzz(arguments: &[&str]) -> Result<()> {
    let (mut minutes, mut keep, mut names) = (MINUTES, false, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--keep" => keep = true,
            "--minutes" => {
                let given = arguments.next().context("--minutes wants a number")?;
                minutes = given.parse().context("--minutes wants a number")?;
                if !(0.0..=100_000.0).contains(&minutes) {
                    bail!("--minutes wants a number from 0 to 100000");
                }
            }
            option if option.starts_with('-') => bail!("there is no option {option}"),
            name => names.push(name),
        }
    }
    if let Some(why) = missing() {
        bail!("{why}");
    }
    let mut targets = build(CAMPAIGN)?;
    if let Some(name) = names
        .iter()
        .find(|name| !targets.iter().any(|target| target.name == **name))
    {
        bail!("there is no target {name}");
    }
    targets.retain(|target| names.is_empty() || names.contains(&target.name.as_str()));
    try_all(&targets, minutes, &[], keep)
}

/// All targets for a moment, where there can be fuzzing.
pub(crate) fn smoke() -> Result<()> {
    if let Some(why) = missing() {
        eprintln!("xtask: fuzzing: skipped: {why}");
        return Ok(());
    }
    // The same inputs each time, as far as time goes: what is new is for campaigns to find.
    try_all(&build(MOMENT)?, SMOKE, &["-seed=1"], false)
}

/// So many CPU minutes for each, with these options more.
fn try_all(targets: &[Target], minutes: f64, options: &[&str], keep: bool) -> Result<()> {
    let mut findings = Vec::new();
    for target in targets {
        let budget = Duration::from_secs_f64(minutes * 60.0);
        let mut campaign = Campaign::default();
        while campaign.cpu < budget && campaign.findings.is_empty() {
            let wall = budget.saturating_sub(campaign.cpu);
            campaign.round(target, wall, options)?;
        }
        campaign.tell(target);
        for finding in &campaign.findings {
            findings.push(target.keep_finding(finding)?);
        }
        if keep {
            target.keep()?;
        }
    }
    report(&findings)
}

fn report(findings: &[PathBuf]) -> Result<()> {
    let [first, ..] = findings else {
        return Ok(());
    };
    bail!("fuzzing found {}: {} …", findings.len(), first.display())
}

/// Why there is no fuzzing here.
fn missing() -> Option<&'static str> {
    let here = cfg!(all(target_arch = "x86_64", target_os = "linux"));
    (!here).then_some("it is built for Linux on x86-64")
}

/// How much the program is optimised for a campaign, and for three seconds of each target: most of their time, it is compiled.
const CAMPAIGN: &str = "3";
const MOMENT: &str = "1";

/// Builds the program, and asks it for its targets.
fn build(optimised: &str) -> Result<Vec<Target>> {
    let manifest = "fuzz/libfuzzer/Cargo.toml";
    let directory = format!("{PLACE}/build");
    run::step_with(
        "fuzz targets",
        &[
            "cargo",
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--manifest-path",
            manifest,
            "--target",
            MACHINE,
            "--target-dir",
            &directory,
        ],
        &[
            ("RUSTFLAGS", FLAGS),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", optimised),
        ],
    )?;
    let listed = Command::new(program())
        .output()
        .context("cannot run the fuzz targets")?;
    if !listed.status.success() {
        bail!("the fuzz targets do not say which they are");
    }
    let listed = String::from_utf8(listed.stdout).context("the fuzz targets' list is garbled")?;
    let targets = listed.lines().filter_map(Target::listed).collect();
    Ok(targets)
}

fn program() -> PathBuf {
    run::root().join(format!("{PLACE}/build/{MACHINE}/release/grange-libfuzzer"))
}

/// What can be tried.
struct Target {
    name: String,
    /// What libFuzzer has to know of it.
    options: Vec<String>,
}

impl Target {
    /// From a line of the program's list.
    fn listed(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next()?;
        let options = words.collect();
        Some(Self { name, options })
    }

    /// Its corpus in the tree.
    fn kept(&self) -> PathBuf {
        run::root().join("fuzz/corpus").join(&self.name)
    }

    /// Its part of what is not kept, empty if it is new.
    fn place(&self, what: &str) -> Result<PathBuf> {
        let place = run::root().join(PLACE).join(what).join(&self.name);
        fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
        Ok(place)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command
            .env("GRANGE_FUZZ", &self.name)
            .args(&self.options)
            .current_dir(run::root())
            .stdin(Stdio::null());
        command
    }

    /// Puts what was found into the tree, where the tests try it.
    fn keep_finding(&self, finding: &Path) -> Result<PathBuf> {
        let name = finding.file_name().unwrap_or_default().to_string_lossy();
        let hash: String = name
            .rsplit('-')
            .next()
            .unwrap_or_default()
            .chars()
            .take(16)
            .collect();
        let kept = self.kept().join(format!("found-{hash}"));
        fs::copy(finding, &kept).with_context(|| kept.display().to_string())?;
        Ok(kept)
    }

    /// Makes the corpus in the tree anew: the least of all that covers as much. What was found once stays.
    fn keep(&self) -> Result<()> {
        let (least, kept) = (self.place("least")?, self.kept());
        fs::remove_dir_all(&least)?;
        fs::create_dir_all(&least)?;
        let log = File::create(self.place("log")?.join("merge"))?;
        let status = self
            .command()
            .arg("-set_cover_merge=1")
            .args([&least, &self.place("corpus")?, &kept])
            .stdout(Stdio::null())
            .stderr(log)
            .status()?;
        if !status.success() {
            bail!("merging the corpus of {} ended with {status}", self.name);
        }
        let mut files: Vec<_> = files(&least)?
            .into_iter()
            .map(|file| Ok((fs::metadata(&file)?.len(), file)))
            .collect::<Result<_>>()?;
        // Where that is too much, then what is long goes: the tests try them all.
        files.sort();
        let (all, mut bytes) = (files.len(), 0);
        files.retain(|(length, _)| {
            bytes += length;
            bytes <= MAX_CORPUS
        });
        for old in self::files(&kept)? {
            let name = old.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with("found-") {
                fs::remove_file(&old)?;
            }
        }
        for (_, file) in &files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let name: String = name.chars().take(16).collect();
            fs::copy(file, kept.join(name))?;
        }
        eprintln!(
            "xtask: {}: {} of {all} inputs are kept",
            self.name,
            files.len()
        );
        Ok(())
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// What came of trying one target.
#[derive(Default)]
struct Campaign {
    cpu: Duration,
    wall: Duration,
    executions: u64,
    /// Edges of the code that were come to.
    edges: u64,
    /// Inputs that came to new ones.
    new: u64,
    findings: Vec<PathBuf>,
    /// What the program said of its end.
    said: Vec<String>,
}

impl Campaign {
    /// Has libFuzzer run once, for so long by the clock: on a busy machine that is less by the CPU.
    fn round(&mut self, target: &Target, wall: Duration, options: &[&str]) -> Result<()> {
        let (begun, before) = (Instant::now(), children_cpu()?);
        let found = target.place("found")?;
        for old in files(&found)? {
            fs::remove_file(old)?;
        }
        let log = target.place("log")?.join("campaign");
        let status = target
            .command()
            .arg(format!("-max_total_time={}", wall.as_secs().max(1)))
            .arg(format!("-timeout={TIMEOUT}"))
            .arg("-print_final_stats=1")
            .args(options)
            .arg(format!("-artifact_prefix={}/", found.display()))
            .args([target.place("corpus")?, target.kept()])
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .status()?;
        self.cpu += children_cpu()?.saturating_sub(before);
        self.wall += begun.elapsed();
        let said = fs::read(&log)?;
        self.read(&String::from_utf8_lossy(&said));
        self.findings = files(&found)?;
        if !status.success() && self.findings.is_empty() {
            bail!(
                "{}: libFuzzer ended with {status}: {}",
                target.name,
                log.display()
            );
        }
        Ok(())
    }

    /// Reads what libFuzzer says.
    fn read(&mut self, log: &str) {
        let number = |text: &str| text.split_whitespace().next()?.parse::<u64>().ok();
        let last = |label: &str| {
            let mut lines = log.lines().rev();
            lines.find_map(|line| number(line.split_once(label)?.1))
        };
        self.executions += last("stat::number_of_executed_units:").unwrap_or(0);
        self.new += last("stat::new_units_added:").unwrap_or(0);
        self.edges = last(" cov: ").unwrap_or(self.edges);
        let mut lines = log.lines();
        if lines
            .by_ref()
            .any(|line| line.contains("panicked at") || line.contains("ERROR: "))
        {
            self.said = lines.take(2).map(str::to_owned).collect();
        }
    }

    fn tell(&self, target: &Target) {
        eprintln!(
            "xtask: {:12} {:>11} executions, {:>5.0} s of CPU ({:.0} s), {:>5} edges, {:>4} new inputs, {} found",
            target.name,
            self.executions,
            self.cpu.as_secs_f64(),
            self.wall.as_secs_f64(),
            self.edges,
            self.new,
            self.findings.len(),
        );
        for finding in &self.findings {
            eprintln!("xtask: found: {}", finding.display());
        }
        if !self.findings.is_empty() {
            for line in &self.said {
                eprintln!("    {line}");
            }
        }
    }
}

/// CPU time of all processes that this one has waited for: fields 16 and 17 of proc_pid_stat(5), in hundredths of a second.
fn children_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field, the name, may have anything in it but ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat is odd")?;
    let ticks = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(|field| Ok(field.parse::<u64>()?));
    Ok(Duration::from_millis(ticks.sum::<Result<u64>>()? * 10))
}
