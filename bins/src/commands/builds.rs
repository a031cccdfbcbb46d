//! `grange builds`.

use grange_interfaces::message::{BuildFilter, BuildSummary};

use super::eta;
use crate::cli::{BuildsCommand, Global, tags};
use crate::connect::connect;
use crate::failure::Exit;
use crate::output::{Output, show_time, table};

pub(super) async fn run(
    global: &Global,
    command: BuildsCommand,
    output: Output,
) -> anyhow::Result<Exit> {
    let args = match command {
        BuildsCommand::List(args) => args,
        BuildsCommand::Eta(args) => return eta::run(global, args, output).await,
    };
    let (client, _) = connect(global).await?;
    let filter = BuildFilter {
        state: args.state,
        tags: tags(&args.tags),
        system: args.system,
    };
    let page = u32::try_from(args.limit).unwrap_or(u32::MAX);
    let mut pages = client.builds(filter, args.after).with_page(page);
    let mut left = args.limit;
    let mut rows = Vec::new();
    while left > 0 {
        let Some(page) = pages.next().await? else {
            break;
        };
        for build in page.iter().take(left) {
            if output.is_json() {
                output.value(build, |_| String::new())?;
            } else {
                rows.push(row(build));
            }
        }
        left -= page.len().min(left);
    }
    if !rows.is_empty() {
        output.line(&table(
            &[
                "BUILD",
                "STATE",
                "PRIORITY",
                "SYSTEM",
                "SUBMITTED",
                "DERIVATION",
            ],
            &rows,
        ))?;
    }
    Ok(Exit::Done)
}

fn row(build: &BuildSummary) -> Vec<String> {
    vec![
        build.id.to_string(),
        build.state.as_str().to_owned(),
        build.priority.to_string(),
        build.system.clone(),
        show_time(build.submitted_at_ms),
        build.derivation.clone(),
    ]
}
