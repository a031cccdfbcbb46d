//! `grange simulate --record`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use grange_replay::{Bounds, Recorded, Summary};
use serde_json::{Value, json};

use super::simulate::value;
use crate::cli::SimulateArgs;

/// What stands for a policy where the farm itself did it.
pub(super) const RECORDED: &str = "recorded";

/// What a recording begins with.
pub(super) const RECORDING: &str = "{\"format\":\"grange-recording\"";

/// A farm that was recorded, and how it did on its own machines.
pub(super) fn recorded(
    file: &Path,
    args: &SimulateArgs,
) -> anyhow::Result<(Recorded, (Summary, Value))> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let recorded = Recorded::read(BufReader::new(opened), &args.submitter_tag)
        .with_context(|| file.display().to_string())?;
    let (workload, fleet) = (&recorded.workload, &recorded.fleet);
    let bounds = Bounds::new(workload, fleet);
    let summary = Summary::new(workload, fleet, bounds, &recorded.outcome);
    let mut value = value(RECORDED, workload, fleet, &summary);
    value["recorded"] = json!({
        "builds": recorded.builds,
        "left_out": recorded.left_out,
        "unknown": recorded.unknown,
        "gaps": recorded.gaps,
        "bound": recorded.bound,
    });
    Ok((recorded, (summary, value)))
}

/// What is in it, for people.
pub(super) fn about(recorded: &Recorded) -> String {
    let mut text = format!(
        "{} builds were asked for; {} derivations ran, {} never did and are left out.",
        recorded.builds,
        recorded.workload.jobs().len(),
        recorded.left_out
    );
    let more = [
        (
            recorded.unknown,
            "builds ended that nobody is known to have asked for",
        ),
        (recorded.gaps, "gaps, where facts are missing"),
        (
            recorded.bound,
            "derivations required something of their agents, which is not looked at",
        ),
    ];
    for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(" {count} {what}."));
    }
    text
}
