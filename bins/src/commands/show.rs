//! `grange build UUID show`.

use grange_coordinator::client::Client;
use grange_interfaces::message::{BuildView, PredictionView};
use grange_model::{BuildId, DISK, MEMORY};

use crate::durations::show_milliseconds;
use crate::output::{Output, show_time};
use crate::sizes::show_size;

pub(super) async fn build(client: &Client, build: BuildId, output: Output) -> anyhow::Result<()> {
    let view = client.build(build).await?;
    output.value(&view, text)
}

fn text(view: &BuildView) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<13}{value}"));
        }
    };
    let summary = &view.summary;
    line(
        "build",
        format!(
            "{}{}",
            summary.id,
            if summary.implicit {
                " (made for an input)"
            } else {
                ""
            }
        ),
    );
    line("derivation", summary.derivation.clone());
    line("state", summary.state.as_str().to_owned());
    view.reasons
        .iter()
        .for_each(|reason| line("", reason.clone()));
    line("system", summary.system.clone());
    let derived = (view.derived_priority != summary.priority).then_some(view.derived_priority);
    line(
        "priority",
        format!(
            "{}{}",
            summary.priority,
            derived
                .map(|p| format!(", derived {p}"))
                .unwrap_or_default()
        ),
    );
    line("tags", pairs(&summary.tags));
    line("requires", pairs(&view.requires));
    line("uses", amounts(&view.resources));
    line(
        "predicted",
        view.predicted.as_ref().map(predicted).unwrap_or_default(),
    );
    line(
        "limits",
        format!(
            "{} in all, {} without a word",
            show_milliseconds(view.timeout_ms),
            show_milliseconds(view.max_silent_ms)
        ),
    );
    line("submitted", show_time(summary.submitted_at_ms));
    line(
        "ended",
        summary.ended_at_ms.map(show_time).unwrap_or_default(),
    );
    view.waits_for
        .iter()
        .for_each(|input| line("waits for", input.clone()));
    for attempt in &view.attempts {
        let took = attempt
            .ended_at_ms
            .map(|end| show_milliseconds(end.saturating_sub(attempt.assigned_at_ms)));
        let took = took
            .map(|took| format!(" after {took}"))
            .unwrap_or_default();
        let message = if attempt.message.is_empty() {
            String::new()
        } else {
            format!(": {}", attempt.message)
        };
        line(
            "attempt",
            format!(
                "{} by agent {}: {}{took}{message}",
                attempt.id, attempt.agent, attempt.state
            ),
        );
        line("", attempt.choice.clone());
        let memory = attempt.usage.peak_memory.map(show_size);
        line(
            "",
            memory.map_or_else(String::new, |size| format!("used {size} of memory at most")),
        );
    }
    for failure in &view.setup_failures {
        line(
            "setup failure",
            format!(
                " agent {} at {}: {}",
                failure.agent,
                show_time(failure.at_ms),
                failure.message
            ),
        );
    }
    for cause in &view.causes {
        line(
            "lost input",
            format!(
                "{} ({}, build {})",
                cause.derivation, cause.reason, cause.build
            ),
        );
        line(
            "root cause",
            format!("{} (build {})", cause.root_derivation, cause.root),
        );
    }
    for made in &view.outputs {
        let mut notes = vec![if made.available {
            "can be fetched"
        } else {
            "not available"
        }];
        if made.canonical == Some(false) {
            notes.push("another build's is served");
        }
        line(
            "output",
            format!("{} {} ({})", made.name, made.path, notes.join(", ")),
        );
    }
    lines.join("\n")
}

/// What a build will take, and how that is known.
fn predicted(prediction: &PredictionView) -> String {
    let memory = prediction.memory_p90.map(show_size);
    let memory = memory.map(|size| format!(", memory up to {size}"));
    let samples = prediction.samples;
    let source = match prediction.source.as_str() {
        "package" => format!("{samples} builds of the package"),
        "other-systems" => format!("{samples} builds of the package for other systems"),
        "system" => format!("all {samples} builds for the system"),
        "all" => format!("all {samples} builds"),
        _ => "no build yet".to_owned(),
    };
    format!(
        "{} to {}{} ({source})",
        show_milliseconds(prediction.duration_p50_ms),
        show_milliseconds(prediction.duration_p90_ms),
        memory.unwrap_or_default(),
    )
}

/// `name=amount, name=amount`.
pub(super) fn amounts(resources: &grange_model::Resources) -> String {
    let amounts = resources.iter().map(|(name, amount)| match name.as_str() {
        MEMORY | DISK => format!("{name}={}", show_size(*amount)),
        _ => format!("{name}={amount}"),
    });
    amounts.collect::<Vec<_>>().join(", ")
}

/// `key=value key=value`.
pub(super) fn pairs(tags: &grange_model::Tags) -> String {
    let pairs: Vec<String> = tags
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(" ")
}
