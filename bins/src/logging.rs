//! Logs of the programs.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Writes logs to standard error, in the detail that `GRANGE_LOG` says (`warn`, `info`, `grange_agent=debug`), else in
/// that of `default`.
///
/// # Errors
///
/// `GRANGE_LOG` cannot be understood.
pub fn start(default: &str, json: bool) -> anyhow::Result<()> {
    let filter = match std::env::var("GRANGE_LOG") {
        Ok(text) => EnvFilter::try_new(&text).map_err(|error| {
            crate::failure::config(format!("GRANGE_LOG is no log filter: {error}"))
        })?,
        Err(_) => EnvFilter::new(default),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call finds logs set up already, which is as good.
    let _ = if json {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
    Ok(())
}
