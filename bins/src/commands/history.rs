//! `grange history`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use grange_coordinator::client::Client;
use grange_interfaces::message::PackageHistory;
use serde_json::json;

use crate::cli::{Global, HistoryCommand};
use crate::connect::connect;
use crate::failure::Exit;
use crate::output::{Output, note};

pub(super) async fn run(
    global: &Global,
    command: HistoryCommand,
    output: Output,
) -> anyhow::Result<Exit> {
    match command {
        HistoryCommand::Export { file: None } => {
            let (client, _) = connect(global).await?;
            // Not locked while the next page is awaited.
            export(&client, &mut io::stdout()).await?;
        }
        HistoryCommand::Export { file: Some(path) } => {
            let (client, _) = connect(global).await?;
            let failed = || format!("cannot write {}", path.display());
            let file = File::create(&path).with_context(failed)?;
            let mut file = BufWriter::new(file);
            let count = export(&client, &mut file).await.with_context(failed)?;
            note(&format!("exported {count} entries"));
        }
        HistoryCommand::Import { file } => {
            let packages = read(&file)?;
            let (client, _) = connect(global).await?;
            client.import_history(&packages).await?;
            let count = packages.len();
            output.value(&json!({ "imported": count }), |_| {
                format!("imported {count} entries")
            })?;
        }
    }
    Ok(Exit::Done)
}

/// Writes all that is known, page by page; what changes meanwhile may be written as it was or as it is.
async fn export(client: &Client, to: &mut impl Write) -> anyhow::Result<usize> {
    let (mut count, mut after) = (0, None);
    loop {
        let (packages, more) = client.history(after).await?;
        for package in &packages {
            writeln!(to, "{}", serde_json::to_string(package)?)?;
        }
        count += packages.len();
        let last = packages.into_iter().last().filter(|_| more);
        let Some(last) = last else {
            to.flush()?;
            return Ok(count);
        };
        after = Some((last.package, last.system));
    }
}

/// All lines, if each of them says what can be.
fn read(path: &Path) -> anyhow::Result<Vec<PackageHistory>> {
    let failed = || format!("cannot read {}", path.display());
    if path == Path::new("-") {
        return parse(io::stdin().lock());
    }
    parse(BufReader::new(File::open(path).with_context(failed)?)).with_context(failed)
}

fn parse(lines: impl BufRead) -> anyhow::Result<Vec<PackageHistory>> {
    let mut packages = Vec::new();
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.with_context(|| format!("line {number}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let package: PackageHistory =
            serde_json::from_str(&line).with_context(|| format!("line {number}"))?;
        if let Err(reason) = package.record() {
            bail!("line {number}: {reason}");
        }
        packages.push(package);
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"package":"hello","system":"x86_64-linux","duration_ms":{"samples":3,"p50":60000,"p90":90000,"max":95000}}"#;

    #[test]
    fn good_lines_are_taken_and_empty_ones_skipped() {
        let packages = parse(format!("{GOOD}\n\n{GOOD}\n").as_bytes()).unwrap();
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].package, "hello");
    }

    #[test]
    fn a_bad_line_is_named_with_the_reason() {
        for (line, part) in [
            ("{", "EOF while parsing"),
            (r#"{"package":"hello"}"#, "missing field `system`"),
            (&GOOD.replace("60000", "96000"), "p50 ≤ p90 ≤ max"),
            (&GOOD.replace(":3,", ":0,"), "there must be a sample"),
            (&GOOD.replace("hello", &"h".repeat(256)), "longer than 255"),
        ] {
            let error = parse(format!("{GOOD}\n{line}\n{GOOD}\n").as_bytes()).unwrap_err();
            let error = format!("{error:#}");
            assert!(
                error.starts_with("line 2: ") && error.contains(part),
                "{error}"
            );
        }
    }
}
