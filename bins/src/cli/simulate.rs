//! `grange simulate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::durations::parse_duration;

/// `grange simulate`.
#[derive(Debug, Args)]
#[command(
    long_about = "Run a farm in virtual time, on the coordinator's real core, and print what came of it\n\n\
    Builds a graph of derivations with a fleet of machines under one policy or several, which are compared. Nothing is built: a \
    build takes as long as a model, or the graph, says it does. The same arguments give the same result.\n\n\
    BOUND is a time before which no policy ends, the higher of the critical path and of the work by the slots; RATIO is the \
    makespan by it. BUSY is the share of the slots' time that something ran in. WAIT is the time from ready to start."
)]
#[command(after_help = "Example:\n  \
    grange simulate --policy priority,critical-path+fastest+floors\n  \
    grange simulate --evaluations 8 --every 2h --scale 0.5 --gantt farm.svg")]
pub struct SimulateArgs {
    /// What is built: `guix` (all of Guix 1.5.0) or a file with a graph
    #[arg(long, value_name = "guix|FILE", default_value = "guix")]
    pub graph: PathBuf,
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
    /// Their speeds, spread evenly by factor
    #[arg(long, value_name = "FROM..TO", default_value = "0.5..4", value_parser = parse_range)]
    pub speeds: (f64, f64),
    /// How many builds all of them run at once [default: by --scale]
    #[arg(long, value_name = "N", conflicts_with = "scale", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub slots: Option<u32>,
    /// As many slots that the work by the slots is so many times the critical path
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_positive)]
    pub scale: f64,
    /// How long builds take where the graph does not say: a file in TOML [default: a model with a heavy tail]
    #[arg(long, value_name = "FILE")]
    pub durations: Option<PathBuf>,
    /// Another seed draws other durations and other changes [default: 5, or the file's]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Who gets what first; several are compared. Parts between `+`: fifo, priority, critical-path, predicted-path
    /// (durations predicted from earlier evaluations), fastest (the fastest
    /// machine that waits), floors and predicted-floors (builds that are long, or predicted to be, require fast machines)
    #[arg(
        long,
        value_name = "POLICY,…",
        value_delimiter = ',',
        default_value = "priority,critical-path+fastest+floors,predicted-path+fastest+predicted-floors"
    )]
    pub policy: Vec<String>,
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

fn parse_range(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (parse_positive(from)?, parse_positive(to)?);
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
        for wrong in ["", "-1..4", "4..1", "0..1", "nan..1", "1..inf"] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_percent("12.5"), Ok(12.5));
        for wrong in ["-1", "101", "nan", "x"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
    }
}
