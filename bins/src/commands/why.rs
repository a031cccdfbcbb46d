//! `grange build UUID why`.

use grange_coordinator::client::Client;
use grange_interfaces::message::BuildView;
use grange_model::BuildId;
use serde_json::json;

use crate::output::Output;

pub(super) async fn build(client: &Client, build: BuildId, output: Output) -> anyhow::Result<()> {
    let view = client.build(build).await?;
    let value = json!({
        "id": view.summary.id,
        "derivation": view.summary.derivation,
        "state": view.summary.state,
        "reasons": view.reasons,
        "remedies": view.remedies,
        "waits_for": view.waits_for,
        "roots": view.roots,
        "setup_failures": view.setup_failures,
        "causes": view.causes,
    });
    output.value(&value, |_| text(&view))
}

fn text(view: &BuildView) -> String {
    let summary = &view.summary;
    let mut lines = vec![format!("{} {}", summary.state.as_str(), summary.derivation)];
    let mut list = |head: &str, sentences: &[String]| {
        if !sentences.is_empty() {
            lines.push(head.to_owned());
            lines.extend(sentences.iter().map(|sentence| format!("  {sentence}")));
        }
    };
    list("because", &view.reasons);
    let roots = view.roots.iter().map(|root| {
        let problems = root.problems.join("; ");
        let problems = if problems.is_empty() {
            String::new()
        } else {
            format!(": {problems}")
        };
        let state = root.state.as_str();
        format!(
            "{state:<9}{} (build {}){problems}",
            root.derivation, root.build
        )
    });
    list("it waits in the end for", &roots.collect::<Vec<_>>());
    let causes = view.causes.iter().map(|cause| {
        format!(
            "{} ({}), because of {} (build {})",
            cause.derivation, cause.reason, cause.root_derivation, cause.root
        )
    });
    list("these inputs are lost", &causes.collect::<Vec<_>>());
    let failures = view.setup_failures.iter();
    let failures = failures.map(|failure| format!("agent {}: {}", failure.agent, failure.message));
    list("it could not be begun by", &failures.collect::<Vec<_>>());
    list("what would help", &view.remedies);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use grange_interfaces::message::{BuildSummary, RootView};
    use grange_model::{BuildState, Resources, Tags};
    use uuid::Uuid;

    #[test]
    fn what_stands_in_the_way_is_listed_from_the_top_down() {
        let id = BuildId(Uuid::nil());
        let view = BuildView {
            summary: BuildSummary {
                id,
                derivation: "/gnu/store/b.drv".to_owned(),
                state: BuildState::Blocked,
                system: "x86_64-linux".to_owned(),
                priority: 0,
                tags: Tags::new(),
                implicit: false,
                submitted_at_ms: 0,
                ended_at_ms: None,
            },
            derived_priority: 0,
            requires: Tags::new(),
            resources: Resources::new(),
            predicted: None,
            timeout_ms: 1,
            max_silent_ms: 1,
            reasons: vec!["1 input is expected".to_owned()],
            remedies: vec!["an agent".to_owned()],
            waits_for: Vec::new(),
            roots: vec![RootView {
                derivation: "/gnu/store/a.drv".to_owned(),
                build: id,
                state: BuildState::Ready,
                problems: vec!["no agent is present".to_owned()],
            }],
            attempts: Vec::new(),
            setup_failures: Vec::new(),
            causes: Vec::new(),
            outputs: Vec::new(),
        };
        let expected = "blocked /gnu/store/b.drv\n\
             because\n  1 input is expected\n\
             it waits in the end for\n  ready    /gnu/store/a.drv (build 00000000-0000-0000-0000-000000000000): no agent is present\n\
             what would help\n  an agent";
        assert_eq!(text(&view), expected);
    }
}
