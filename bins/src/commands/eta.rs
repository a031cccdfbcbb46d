//! `grange builds eta`.

use grange_coordinator::client::Client;
use grange_interfaces::message::{BuildFilter, EtaView};
use grange_model::{BuildId, BuildState};

use crate::cli::{BuildsEta, Global};
use crate::connect::connect;
use crate::durations::show_milliseconds;
use crate::failure::Exit;
use crate::output::{Output, table};

pub(super) async fn run(global: &Global, args: BuildsEta, output: Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(global).await?;
    let builds = if args.builds.is_empty() {
        unfinished(&client, args.limit).await?
    } else {
        args.builds
    };
    let mut rows = Vec::new();
    for eta in client.etas(&builds).await? {
        if output.is_json() {
            output.value(&eta, |_| String::new())?;
        } else {
            rows.push(row(&eta));
        }
    }
    if !rows.is_empty() {
        let head = ["BUILD", "STATE", "HALF BY", "NINE OF TEN BY", "DERIVATION"];
        output.line(&table(&head, &rows))?;
    }
    Ok(Exit::Done)
}

/// Some that have not ended, those that run first.
async fn unfinished(client: &Client, limit: usize) -> anyhow::Result<Vec<BuildId>> {
    let mut builds = Vec::new();
    for state in [BuildState::Running, BuildState::Ready, BuildState::Blocked] {
        let filter = BuildFilter {
            state: Some(state),
            ..BuildFilter::default()
        };
        let mut pages = client.builds(filter, None);
        while builds.len() < limit
            && let Some(page) = pages.next().await?
        {
            builds.extend(page.iter().map(|build| build.id));
        }
    }
    builds.truncate(limit);
    Ok(builds)
}

fn row(eta: &EtaView) -> Vec<String> {
    let time =
        |milliseconds: Option<u64>| milliseconds.map_or_else(|| "-".to_owned(), show_milliseconds);
    let what = eta.derivation.as_deref().unwrap_or("-");
    let what = if eta.reason.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({})", eta.reason)
    };
    vec![
        eta.build.to_string(),
        eta.state.map_or("-", BuildState::as_str).to_owned(),
        time(eta.p50_ms),
        time(eta.p90_ms),
        what,
    ]
}
