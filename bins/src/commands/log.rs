//! `grange build UUID log`.

use std::io::{self, Write as _};
use std::time::Duration;

use data_encoding::BASE64;
use grange_coordinator::client::{Client, LogPiece};
use grange_model::BuildId;
use serde_json::json;

use crate::output::{Output, note};

/// How long to follow a log while the coordinator is not reached.
const PATIENCE: Duration = Duration::from_secs(600);

/// Prints a log as it comes: its bytes as they are, or as JSON in pieces with their place.
pub(super) async fn print(
    client: &Client,
    build: BuildId,
    offset: u64,
    follow: bool,
    output: Output,
) -> anyhow::Result<()> {
    let client = if follow {
        client.clone().with_patience(PATIENCE)
    } else {
        client.clone()
    };
    let mut reader = client.log(build, offset, follow);
    let mut attempt = None;
    loop {
        let Some(piece) = reader.next().await? else {
            return Ok(());
        };
        match piece {
            LogPiece::Attempt(next) => {
                if attempt.is_some() {
                    note("the attempt was lost; what follows is the next one's log");
                }
                attempt = Some(next);
            }
            LogPiece::Bytes(bytes) if output.is_json() => {
                let value = json!({
                    "attempt": attempt.map(|attempt| attempt.to_string()),
                    "offset": reader.offset() - bytes.len() as u64,
                    "text": String::from_utf8_lossy(&bytes),
                    "base64": BASE64.encode(&bytes),
                });
                output.value(&value, |_| String::new())?;
            }
            LogPiece::Bytes(bytes) => {
                let mut out = io::stdout().lock();
                out.write_all(&bytes)?;
                out.flush()?;
            }
        }
    }
}
