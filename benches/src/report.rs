//! What a benchmark prints.

use std::io::Write as _;

/// Whether smaller or larger is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most so much.
    Below(f64),
    /// At least so much.
    Above(f64),
}

/// Prints a line.
pub fn line(text: &str) {
    // Whoever reads no more of it wants no more of it.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a figure beside its goal, and says whether it is met.
pub fn figure(what: &str, value: f64, unit: &str, goal: Goal) {
    let (word, limit, met) = match goal {
        Goal::Below(limit) => ("below", limit, value < limit),
        Goal::Above(limit) => ("above", limit, value > limit),
    };
    let met = if met { "met" } else { "MISSED" };
    line(&format!(
        "  {what}: {value:.3} {unit} (target {word} {limit} {unit}: {met})"
    ));
}

/// Prints a figure that has no goal of its own.
pub fn beside(what: &str, value: f64, unit: &str) {
    line(&format!("  {what}: {value:.3} {unit}"));
}

/// Prints how often `baseline` goes into `value`.
pub fn ratio(what: &str, value: f64, baseline: f64) {
    line(&format!("  ratio {what}: {:.3}", value / baseline));
}

/// What the run ran on: cores, and how busy they are with other things.
#[must_use]
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!("{cores} cores, load averages {}", load.join(" "))
}
