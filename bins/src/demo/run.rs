//! From start to report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use grange_coordinator::client::{Client, ClosureSource};
use grange_examples::demo::Toolchain;
use grange_interfaces::message::{FactView, Submission};
use grange_model::BuildId;
use grange_sandbox::{Helper, check_support};
use tokio::signal::unix::{SignalKind, signal};

use super::farm::Farm;
use super::forget::forget;
use super::graph::{self, Graph};
use super::report::{self, End};
use crate::agent::BuilderKind;
use crate::cli::DemoArgs;
use crate::failure::{self, Exit};
use crate::output::{Output, note};
use crate::places;
use crate::progress::{Display, Uploading};

/// So often (about every 25 seconds) nothing may happen until it is said why.
const PATIENCE: u32 = 3;

/// What is suggested to be fetched: it runs on its own.
const PROGRAM: &str = "primes";

/// Runs the demo.
///
/// # Errors
///
/// This machine lacks what the sandbox needs or has no compiler, or the state directory cannot be used.
pub async fn run(args: DemoArgs, output: Output) -> anyhow::Result<Exit> {
    if args.builder == BuilderKind::Sandbox {
        check_support(&Helper::ThisProgram)
            .await
            .map_err(|error| failure::config(failure::one_line(&anyhow::Error::from(error))))?;
    } else if args.again {
        return Err(failure::usage(
            "--again is for the sandbox, whose stores are the demo's own: what lies in the store of a real daemon, \
             others may use",
        ));
    }
    let state = std::path::absolute(args.state_dir.clone().unwrap_or_else(places::demo_state))?;
    make_private(&state)?;
    let graph = graph::write(&state, &args.builder.store_dir())
        .await
        .context("the demo has nothing to build with")?;
    let is_host = matches!(graph.toolchain, Toolchain::Host { .. });
    if is_host || !output.is_json() {
        note(&format!(
            "{} derivations, to be built with {}",
            graph.demo.derivations.len(),
            graph.toolchain
        ));
    }
    let paths: Vec<PathBuf> = graph
        .demo
        .sandbox_paths
        .iter()
        .map(|(host, _)| host.clone())
        .collect();
    if args.again {
        forget(&state).await?;
    }
    let mut farm = Farm::start(&state, args.builder, args.daemon_socket, paths).await?;
    let client = farm.client.clone();
    let ended = tokio::select! {
        ended = demonstrate(&client, &graph, output) => ended,
        error = farm.agent_ended() => Err(error),
        () = interrupted() => Err(anyhow::anyhow!("interrupted; the same command goes on from here")),
    };
    let ended = match ended {
        Ok((exit, output_path)) => {
            how_to_fetch(&farm, &state, output_path.as_deref(), args.serve, output)?;
            if args.serve {
                interrupted().await;
            }
            Ok(exit)
        }
        Err(error) => Err(error),
    };
    farm.stop().await;
    ended
}

/// Submits, waits, reports. Gives an output to fetch, if there is one.
async fn demonstrate(
    client: &Client,
    graph: &Graph,
    output: Output,
) -> anyhow::Result<(Exit, Option<String>)> {
    let requests = graph.requests();
    let in_order: Vec<(BuildId, String)> = requests
        .iter()
        .map(|request| (request.id, request.derivation.clone()))
        .collect();
    let paths: BTreeMap<BuildId, String> = in_order.iter().cloned().collect();
    let (_, before) = client.facts(None, 0).await?;
    let uploading = Uploading::new(!output.is_json());
    let source = Arc::clone(&graph.source) as Arc<dyn ClosureSource>;
    let submitted = client
        .submit(requests, source, &|progress| uploading.show(progress))
        .await;
    uploading.end();
    for submission in submitted?.submissions {
        if let Submission::Refused(refusal) = submission {
            return Err(refusal.into());
        }
    }
    let derivations = paths.values().cloned().collect();
    let mut display = Display::new(!output.is_json(), derivations, paths.keys().copied());
    let mut waiter = client.waiter(paths.keys().copied()).after(before);
    let (mut attempts, mut idle) = (0, 0);
    while let Some(facts) = waiter.next().await? {
        facts.iter().for_each(|fact| display.fact(fact));
        attempts += facts.iter().filter(|fact| is_start(fact, &paths)).count() as u64;
        idle = if facts.is_empty() { idle + 1 } else { 0 };
        let open = waiter
            .states()
            .into_iter()
            .find(|(_, state)| !state.is_final());
        if let Some((build, _)) = open.filter(|_| idle == PATIENCE) {
            let reasons = client.build(build).await?.reasons.join("; ");
            note(&format!(
                "{} has not ended yet: {reasons}",
                crate::progress::short(&paths[&build])
            ));
        }
    }
    display.end();
    let states = waiter.states();
    let end = |(build, path): &(BuildId, String)| {
        let state = *states.get(build)?;
        Some(End {
            path: path.clone(),
            build: *build,
            state,
        })
    };
    let ends: Vec<End> = in_order.iter().filter_map(end).collect();
    let wrong = report::unplanned(&ends, &graph.demo.expected);
    tell(client, graph, &ends, attempts, &wrong, output).await?;
    let program = graph
        .demo
        .derivation(PROGRAM)
        .and_then(|made| made.output("out"));
    let output_path = program.map(ToString::to_string);
    Ok((
        if wrong.is_empty() {
            Exit::Done
        } else {
            Exit::Failed
        },
        output_path,
    ))
}

fn is_start(fact: &FactView, builds: &BTreeMap<BuildId, String>) -> bool {
    fact.what == "started" && fact.builds.iter().any(|build| builds.contains_key(build))
}

async fn tell(
    client: &Client,
    graph: &Graph,
    ends: &[End],
    attempts: u64,
    wrong: &[String],
    output: Output,
) -> anyhow::Result<()> {
    if output.is_json() {
        for line in wrong {
            note(line);
        }
        let summary = report::summary(ends, attempts, wrong, &graph.toolchain.to_string());
        return output.value(&summary, |_| String::new());
    }
    output.line(&report::built(ends))?;
    output.line(&report::failed(client, ends).await?)?;
    output.line(&match attempts {
        0 => "nothing was built now: all of this was known from before (--again builds anew)"
            .to_owned(),
        1 => "one build was tried now".to_owned(),
        attempts => format!("{attempts} builds were tried now"),
    })?;
    match wrong {
        [] => output.line("all ended as planned: the failure is part of the plan"),
        wrong => output.line(&format!("not as planned:\n  {}", wrong.join("\n  "))),
    }
}

/// Says how to fetch an output. JSON ends with its summary, so then it is said only of a farm that goes on.
fn how_to_fetch(
    farm: &Farm,
    state: &Path,
    path: Option<&str>,
    serve: bool,
    output: Output,
) -> anyhow::Result<()> {
    let (Some(path), Some(socket)) = (path, &farm.socket) else {
        return Ok(());
    };
    let own =
        std::env::current_exe().map_or_else(|_| "grange".into(), |own| own.display().to_string());
    let fetch = format!(
        "{own} --coordinator unix:{} fetch {path} --to ./{PROGRAM} && ./{PROGRAM}/bin/{PROGRAM}",
        socket.display()
    );
    match (serve, output.is_json()) {
        (false, true) => Ok(()),
        (false, false) => output.line(&format!(
            "to fetch an output, let the farm go on, and ask it from another terminal:\n  \
             {own} demo --serve --state-dir {}\n  {fetch}",
            state.display()
        )),
        (true, _) => {
            note(&format!(
                "the farm goes on until Ctrl-C; ask it from another terminal:\n  {fetch}"
            ));
            Ok(())
        }
    }
}

/// Returns when somebody wants this process to end.
async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await.map_or((), |()| ()),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

fn make_private(state: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state);
    made.with_context(|| format!("cannot make the state directory {}", state.display()))
}
