//! The program.

use std::process::ExitCode;

use clap::Parser as _;
use grange_store_sqlite::path_of_uri;
use serde_json::json;

use super::admin::Token;
use super::cli::{Cli, CoordinatorCommand};
use super::serve;
use super::settings::{Settings, open_datastore};
use crate::commands::usage_error;
use crate::fail_points;
use crate::failure::{self, Exit};
use crate::logging;
use crate::output::Output;

/// The program `grange-coordinator`.
#[must_use]
pub fn main() -> ExitCode {
    fail_points::control();
    match Cli::try_parse() {
        Ok(cli) => failure::end("grange-coordinator", run(&cli)),
        Err(error) => usage_error(&error),
    }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    logging::start("info", cli.json)?;
    let output = Output::new(cli.json);
    if let Some(CoordinatorCommand::Token) = cli.command {
        let token = Token::new();
        let value = json!({ "token": token.as_str(), "line": token.line() });
        output.value(&value, |_| {
            format!("token  {}\nline   {}", token.as_str(), token.line())
        })?;
        return Ok(Exit::Done);
    }
    let settings = Settings::new(&cli.flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match cli.command {
        Some(_) => runtime.block_on(check(&settings, output)),
        None => runtime.block_on(serve::run(settings)).map(|()| Exit::Done),
    }
}

async fn check(settings: &Settings, output: Output) -> anyhow::Result<Exit> {
    let path = path_of_uri(&settings.database)?;
    anyhow::ensure!(path.exists(), "there is no database {}", path.display());
    let report = open_datastore(&settings.database)?.check().await?;
    let value = json!({
        "database": settings.database,
        "records": report.records,
        "facts": report.facts,
        "problems": report.problems,
    });
    output.value(&value, |_| {
        let mut lines = report.problems.clone();
        lines.push(format!(
            "{} records, {} facts, {} problems",
            report.records,
            report.facts,
            report.problems.len()
        ));
        lines.join("\n")
    })?;
    Ok(if report.problems.is_empty() {
        Exit::Done
    } else {
        Exit::Error
    })
}
