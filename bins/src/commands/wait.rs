//! `grange build --wait`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grange_coordinator::client::Client;
use grange_derivation::{Derivation, StorePath};
use grange_model::{BuildId, BuildState, FactNumber};
use serde_json::{Map, json};

use super::submit::Accepted;
use crate::failure::Exit;
use crate::output::Output;
use crate::progress::Display;

/// How long to go on while the coordinator is not reached: it may be restarted.
const PATIENCE: Duration = Duration::from_secs(600);

/// Shows progress until these builds have ended, and what became of them.
pub(super) async fn run(
    client: &Client,
    builds: &[Accepted],
    after: FactNumber,
    output: Output,
) -> anyhow::Result<Exit> {
    let client = client.clone().with_patience(PATIENCE);
    let closure = closure(builds).await;
    let mut display = Display::new(
        !output.is_json(),
        closure,
        builds.iter().map(|build| build.id),
    );
    let mut waiter = client
        .waiter(builds.iter().map(|build| build.id))
        .after(after);
    while let Some(facts) = waiter.next().await? {
        facts.iter().for_each(|fact| display.fact(fact));
    }
    display.end();
    let states = waiter.states();
    for build in builds {
        let Some(state) = states.get(&build.id) else {
            continue;
        };
        tell(&client, build, *state, output).await?;
    }
    if output.is_json() {
        output.value(&summary(states.values().copied()), |_| String::new())?;
    }
    Ok(exit(&states))
}

async fn tell(
    client: &Client,
    build: &Accepted,
    state: BuildState,
    output: Output,
) -> anyhow::Result<()> {
    let view = client.build(build.id).await?;
    let outputs: Map<String, serde_json::Value> = view
        .outputs
        .iter()
        .map(|made| (made.name.clone(), made.path.clone().into()))
        .collect();
    let value = json!({
        "id": build.id,
        "derivation": build.path.to_string(),
        "state": state,
        "reasons": view.reasons,
        "causes": view.causes,
        "outputs": outputs,
    });
    output.value(&value, |_| {
        let mut text = format!("{} {}", state.as_str(), build.path);
        if state == BuildState::Succeeded {
            view.outputs
                .iter()
                .for_each(|made| text.push_str(&format!("\n  {}", made.path)));
            return text;
        }
        view.reasons
            .iter()
            .for_each(|reason| text.push_str(&format!("\n  {reason}")));
        let roots: BTreeSet<(&str, BuildId)> = view
            .causes
            .iter()
            .map(|cause| (cause.root_derivation.as_str(), cause.root))
            .collect();
        for (derivation, root) in roots {
            text.push_str(&format!(
                "\n  because of {derivation}: see `grange build {root} log`"
            ));
        }
        if state == BuildState::Failed {
            text.push_str(&format!("\n  see `grange build {} log`", build.id));
        }
        text
    })
}

/// How many builds ended in which way, by the words for the states.
pub(crate) fn summary(states: impl Iterator<Item = BuildState>) -> serde_json::Value {
    let finals = BuildState::ALL.into_iter().filter(|state| state.is_final());
    let mut counts: Map<String, serde_json::Value> = finals
        .map(|state| (state.as_str().to_owned(), 0.into()))
        .collect();
    let mut by_state: BTreeMap<BuildState, u64> = BTreeMap::new();
    states.for_each(|state| *by_state.entry(state).or_default() += 1);
    counts.extend(
        by_state
            .into_iter()
            .map(|(state, count)| (state.as_str().to_owned(), count.into())),
    );
    counts.into()
}

fn exit(states: &BTreeMap<BuildId, BuildState>) -> Exit {
    let has = |wanted| states.values().any(|state| *state == wanted);
    if has(BuildState::Failed) {
        Exit::Failed
    } else if has(BuildState::FailedDependency) {
        Exit::FailedDependency
    } else if has(BuildState::Canceled) {
        Exit::Canceled
    } else {
        Exit::Done
    }
}

/// What these builds may set in motion, as far as the files at hand tell: others' builds are not shown.
async fn closure(builds: &[Accepted]) -> BTreeSet<String> {
    let roots: Vec<Accepted> = builds.to_vec();
    let walk = move || {
        let mut open: Vec<(StorePath, std::path::PathBuf)> = roots
            .into_iter()
            .map(|build| (build.path, build.directory))
            .collect();
        let mut seen = BTreeSet::new();
        while let Some((path, directory)) = open.pop() {
            if !seen.insert(path.to_string()) {
                continue;
            }
            // What cannot be read is shown without its inputs: the coordinator has it already.
            let Ok(text) = std::fs::read(directory.join(path.base_name())) else {
                continue;
            };
            let name = path.derivation_name().unwrap_or_default();
            let Ok(derivation) = Derivation::parse(path.store(), name, &text) else {
                continue;
            };
            open.extend(
                derivation
                    .input_derivations
                    .into_keys()
                    .map(|input| (input, directory.clone())),
            );
        }
        seen
    };
    tokio::task::spawn_blocking(walk).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_applies_is_the_status() {
        let exit_of = |states: &[BuildState]| {
            let number = |index: usize| BuildId(uuid::Uuid::from_u128(index as u128));
            exit(
                &states
                    .iter()
                    .enumerate()
                    .map(|(index, state)| (number(index), *state))
                    .collect(),
            )
        };
        use BuildState::{Canceled, Failed, FailedDependency, Succeeded};
        assert_eq!(exit_of(&[]), Exit::Done);
        assert_eq!(exit_of(&[Succeeded]), Exit::Done);
        assert_eq!(exit_of(&[Succeeded, Canceled]), Exit::Canceled);
        assert_eq!(
            exit_of(&[Canceled, FailedDependency]),
            Exit::FailedDependency
        );
        assert_eq!(exit_of(&[Canceled, FailedDependency, Failed]), Exit::Failed);
    }

    #[test]
    fn the_summary_names_every_way_to_end() {
        let text = summary([BuildState::Succeeded, BuildState::Succeeded].into_iter()).to_string();
        assert_eq!(
            text,
            r#"{"canceled":0,"failed":0,"failed-dependency":0,"succeeded":2}"#
        );
    }
}
