//! `grange simulate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use grange_replay::SPEEDS;

use crate::durations::parse_duration;

/// `grange simulate`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Runs a farm in virtual time, on the coordinator's real core, and prints what came of it.\n\n\
    Builds a graph of derivations with a fleet of machines under one policy or several, which are compared. Nothing is built: a \
    build takes as long as a model, or the graph, says it does. The same arguments give the same result, but for CORE.\n\n\
    BOUND is a time before which no policy ends, the higher of the critical path and of the work by the slots; RATIO is the \
    makespan by it. BUSY is the share of the slots' time that something ran in. WAIT is the time from ready to start. UNFAIR \
    is the share of the work that was farthest from an equal one, less that, of any submitter in any hour in which all of them had \
    something waiting: +20 % is 20 points too much; - if there was no such hour, or a single submitter. CORE is what the core took \
    for each build: processor time, which differs from run to run, as do core_us_per_build and core_longest_call_ms with --json.\n\n\
    With --record the farm is one that there was: what it was asked for, when, and with its agents, unless there is --fleet. \
    A row named recorded has what it made of that itself. Each derivation that ran to its end in the recording is built once. It takes \
    as long as its last attempt that succeeded, or that failed if none did, counted from when its agent had room for it; that \
    includes fetching and sending. All succeed. What never ran is left out (it was there already, was canceled, lost an input, waits still), and what \
    nobody built is there from the start. Priorities are kept; what builds require of their agents is not looked at.\n\n\
    A graph has at most 10 million derivations in all copies, a fleet 100,000 machines and 10 million slots.\n\n\
    Example:\n  \
    grange simulate --policy priority,critical-path+fastest+floors\n  \
    grange simulate --evaluations 8 --every 2h --scale 0.5 --gantt farm.svg\n  \
    grange simulate --record farm.record --policy priority,fifo,critical-path"
)]
#[command(after_help = "Example:\n  \
    grange simulate --policy priority,critical-path+fastest+floors\n  \
    grange simulate --evaluations 8 --every 2h --scale 0.5 --gantt farm.svg")]
pub struct SimulateArgs {
    /// What is built: `guix` (all of Guix 1.5.0) or a file with a graph
    ///
    /// The first line of the file is `grange-graph 1`. Then follows a line for each derivation, those that others need before
    /// them, with five or six columns between tabs; `-` stands for nothing: store name without .drv; system; for a fixed output,
    /// the number (from 0) of the first derivation that makes the same; names of the outputs, between commas; inputs, between
    /// spaces (`17` is `out` of derivation 17, `17:lib,doc` are others of its outputs); milliseconds that it takes at speed 1, at
    /// most a year.
    ///
    /// Where the graph says how long builds take, predictions come from these same numbers, and are better than any farm's.
    #[arg(long, value_name = "guix|FILE", default_value = "guix")]
    pub graph: PathBuf,
    /// What is built, when and by whom: a file that `grange-coordinator --record` has written, or writes still
    ///
    /// Its first line says that it is one, and each line behind that is an object in JSON: a build that was accepted (with its
    /// derivation, priority and tags), a build that ended (with its attempts), what an agent offers, or that facts are missing.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "graph", "copies", "evaluations", "every", "submitters", "machines", "speeds", "scale", "slots", "durations", "seed",
    ])]
    pub record: Option<PathBuf>,
    /// With --record: the tag of a build whose value says who asked for it
    #[arg(
        long,
        value_name = "KEY",
        default_value = "submitter",
        requires = "record"
    )]
    pub submitter_tag: String,
    /// So many copies of it, which share nothing [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "evaluations", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub copies: Option<u32>,
    /// So many evaluations of it; from one to the next some packages change, and with them all that need them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub evaluations: Option<u32>,
    /// The share of packages that change, in percent
    #[arg(long, value_name = "PERCENT", default_value = "20", requires = "evaluations", value_parser = parse_percent)]
    pub change: f64,
    /// How long after one copy or evaluation the next is submitted [default: 2h for evaluations, at once for copies]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub every: Option<Duration>,
    /// How many people take turns in submitting them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub submitters: u32,
    /// The machines: a file in TOML with an array of tables, `machine`, one for each kind; keys systems, name, count, speed, slots, ahead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["machines", "speeds", "scale", "slots"])]
    pub fleet: Option<PathBuf>,
    /// Without --fleet: how many machines
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub machines: u32,
    /// Their speeds, 0.001 to 1000, spread evenly by factor
    #[arg(long, value_name = "FROM..TO", default_value = "0.5..4", value_parser = parse_range)]
    pub speeds: (f64, f64),
    /// How many builds all of them run at once, at least one for each machine [default: by --scale]
    #[arg(long, value_name = "N", conflicts_with = "scale", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub slots: Option<u32>,
    /// As many slots that the work by the slots is so many times the critical path, at least one for each machine
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_positive)]
    pub scale: f64,
    /// How long builds take where the graph does not say: a file in TOML [default: a model with a heavy tail]
    ///
    /// Keys: `seed`, and two tables, `[built]` and `[fixed]` (downloads), with the same keys each. Most packages are distributed
    /// log-normally: `median` (seconds) and `deviation` (of the logarithm). The share `tail` of them, 0 to 1, follows Pareto's
    /// law: `tail_from` (seconds) and `tail_exponent`. Nothing takes longer than `longest` (seconds, at most a year); `varies` is
    /// the deviation of the logarithm from one version of a package to another. All keys are needed.
    #[arg(long, value_name = "FILE")]
    pub durations: Option<PathBuf>,
    /// Another seed draws other durations and other changes [default: 5, or the file's]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Who gets what first; several are compared. Parts between `+`: fifo, priority, critical-path, predicted-path
    /// (durations predicted from earlier evaluations), learned-path (by what the core itself learns as it goes), fastest (the fastest
    /// of all machines that wait), floors and predicted-floors (builds that are long, or predicted to be, require fast machines)
    #[arg(
        long,
        value_name = "POLICY,…",
        value_delimiter = ',',
        default_value = "priority,critical-path+fastest+floors,predicted-path+fastest+predicted-floors"
    )]
    pub policy: Vec<String>,
    /// Ask the farm this often when some of its builds will have ended, and say how far that came true
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub eta_every: Option<Duration>,
    /// Draw who built what when, as SVG; with several policies the last one
    #[arg(long, value_name = "FILE")]
    pub gantt: Option<PathBuf>,
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|it| (0.0..=100.0).contains(it));
    percent.ok_or_else(|| "it is no number between 0 and 100".to_owned())
}

fn parse_positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|it: &f64| *it > 0.0 && it.is_finite());
    number.ok_or_else(|| "it is no number above 0".to_owned())
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|it| SPEEDS.contains(it));
    let (from, to) = (SPEEDS.start(), SPEEDS.end());
    speed.ok_or_else(|| format!("it is no number between {from} and {to}"))
}

fn parse_range(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (parse_speed(from)?, parse_speed(to)?);
    if from > to {
        return Err("it begins above its end".to_owned());
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_what_makes_sense() {
        assert_eq!(parse_range("0.5..4"), Ok((0.5, 4.0)));
        assert_eq!(parse_range("2"), Ok((2.0, 2.0)));
        assert_eq!(parse_range("0.001..1000"), Ok((0.001, 1_000.0)));
        for wrong in [
            "", "-1..4", "4..1", "0..1", "nan..1", "1..inf", "1e-9..1", "1..1001",
        ] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_percent("12.5"), Ok(12.5));
        for wrong in ["-1", "101", "nan", "x"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
    }
}
