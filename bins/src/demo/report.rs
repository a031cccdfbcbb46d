//! What came of the demo.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use grange_coordinator::client::{Client, LogPiece};
use grange_examples::demo::Expected;
use grange_interfaces::message::{BuildFilter, BuildView};
use grange_model::{BuildId, BuildState};
use serde_json::json;

use crate::progress::short;

/// How much of a failed build's log is shown.
const LINES: usize = 12;
/// How much of its end is read for that.
const TAIL: usize = 64 << 10;

/// What came of a derivation.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// Its path.
    pub(super) path: String,
    /// The build that was asked for.
    pub(super) build: BuildId,
    /// How that ended.
    pub(super) state: BuildState,
}

/// Derivations whose builds did not end as planned, each with how it ended.
pub(super) fn unplanned(ends: &[End], expected: &Expected) -> Vec<String> {
    let planned = [
        (&expected.succeeded, BuildState::Succeeded),
        (&expected.failed, BuildState::Failed),
        (&expected.failed_dependency, BuildState::FailedDependency),
    ];
    let mut wrong = Vec::new();
    for (paths, state) in planned {
        for path in paths.iter().map(ToString::to_string) {
            match ends.iter().find(|end| end.path == path) {
                Some(end) if end.state == state => {}
                Some(end) => wrong.push(format!(
                    "{} ended as {}, not as {} (build {})",
                    short(&path),
                    end.state.as_str(),
                    state.as_str(),
                    end.build
                )),
                None => wrong.push(format!("{} was not built", short(&path))),
            }
        }
    }
    wrong
}

/// The summary for programs.
pub(super) fn summary(
    ends: &[End],
    attempts: u64,
    wrong: &[String],
    toolchain: &str,
) -> serde_json::Value {
    let mut summary = crate::commands::summary(ends.iter().map(|end| end.state));
    summary["attempts"] = json!(attempts);
    summary["as-planned"] = json!(wrong.is_empty());
    summary["toolchain"] = json!(toolchain);
    summary
}

/// What was built, by name, a few on a line.
pub(super) fn built(ends: &[End]) -> String {
    let names: Vec<String> = ends
        .iter()
        .filter(|end| end.state == BuildState::Succeeded)
        .map(|end| short(&end.path))
        .collect();
    let mut text = format!("built ({}):", names.len());
    let mut width = usize::MAX;
    for name in names {
        if width.saturating_add(name.len() + 1) > 98 {
            text.push_str("\n ");
            width = 2;
        }
        text.push(' ');
        text.push_str(&name);
        width += name.len() + 1;
    }
    text
}

/// What failed and why: each root cause with the end of its log, then what could not be built because of it.
pub(super) async fn failed(client: &Client, ends: &[End]) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut victims: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for End { path, build, state } in ends {
        if *state != BuildState::FailedDependency {
            continue;
        }
        for cause in client.build(*build).await?.causes {
            victims
                .entry(cause.root_derivation)
                .or_default()
                .insert(short(path));
        }
    }
    for End { path, build, state } in ends {
        if *state != BuildState::Failed {
            continue;
        }
        let view = client.build(*build).await?;
        text.push_str(&format!("failed: {}\n", short(path)));
        view.reasons
            .iter()
            .for_each(|reason| text.push_str(&format!("  {reason}\n")));
        for line in log_tail(client, &view).await? {
            text.push_str(&format!("  | {line}\n"));
        }
        if let Some(names) = victims.remove(path) {
            let names: Vec<String> = names.into_iter().collect();
            text.push_str(&format!(
                "  because of it ({}): {}\n",
                names.len(),
                names.join(" ")
            ));
        }
    }
    for (root, names) in victims {
        let names: Vec<String> = names.into_iter().collect();
        text.push_str(&format!(
            "because of {}: {}\n",
            short(&root),
            names.join(" ")
        ));
    }
    Ok(text.trim_end().to_owned())
}

/// The last lines of the log of a build, or of the former build that its failure is remembered from.
async fn log_tail(client: &Client, view: &BuildView) -> anyhow::Result<Vec<String>> {
    let mut with_log = has_log(view).then_some(view.summary.id);
    let filter = BuildFilter {
        state: Some(BuildState::Failed),
        ..BuildFilter::default()
    };
    let mut pages = client.builds(filter, None);
    while with_log.is_none() {
        let Some(page) = pages.next().await? else {
            return Ok(Vec::new());
        };
        for former in page
            .iter()
            .filter(|former| former.derivation == view.summary.derivation)
        {
            if has_log(&client.build(former.id).await?) {
                with_log = Some(former.id);
            }
        }
    }
    let Some(build) = with_log else {
        return Ok(Vec::new());
    };
    let mut log = client.log(build, 0, false);
    let mut tail: Vec<u8> = Vec::new();
    while let Some(piece) = log.next().await? {
        if let LogPiece::Bytes(bytes) = piece {
            push(&mut tail, &bytes);
        }
    }
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES)..];
    // Nothing in a log may move the cursor of a terminal.
    Ok(shown
        .iter()
        .map(|line| line.replace(char::is_control, " "))
        .collect())
}

fn has_log(view: &BuildView) -> bool {
    view.attempts.iter().any(|attempt| attempt.has_log)
}

/// Keeps the end.
fn push(tail: &mut Vec<u8>, bytes: &Bytes) {
    tail.extend_from_slice(bytes);
    if tail.len() > 2 * TAIL {
        tail.drain(..tail.len() - TAIL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(number: usize, state: BuildState) -> End {
        End {
            path: format!("/gnu/store/00000000000000000000000000000000-derivation-{number}.drv"),
            build: BuildId(uuid::Uuid::from_u128(1)),
            state,
        }
    }

    #[test]
    fn what_was_built_is_listed_in_short_lines() {
        let ends: Vec<End> = (0..40)
            .map(|number| end(number, BuildState::Succeeded))
            .collect();
        let text = built(&ends);
        assert!(
            text.starts_with("built (40):\n  derivation-0 derivation-1 "),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn the_summary_has_the_states_and_what_was_done() {
        let summary = summary(&[end(0, BuildState::Failed)], 3, &[], "host");
        assert_eq!(
            (summary["failed"].as_u64(), summary["succeeded"].as_u64()),
            (Some(1), Some(0))
        );
        assert_eq!(
            (
                summary["attempts"].as_u64(),
                summary["as-planned"].as_bool()
            ),
            (Some(3), Some(true))
        );
    }
}
