//! Reaching the coordinator.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use grange_coordinator::client::{Client, Welcome};
use grange_interfaces::{Peer, Secret};
use grange_transport_http::{ClientConfig, CoordinatorUrl, HttpEndpoint, Pem};

use crate::cli::Global;
use crate::{failure, places};

/// What our programs call themselves.
pub const SOFTWARE: &str = concat!("grange ", env!("CARGO_PKG_VERSION"));

/// A secret file has at most so many bytes.
const SECRET: u64 = 4096;

/// A client of the coordinator that the command line, the environment or the default names, and what the coordinator
/// says of itself.
///
/// # Errors
///
/// It is not reached, or what names it is wrong.
pub async fn connect(global: &Global) -> anyhow::Result<(Client, Welcome)> {
    let url = match &global.coordinator {
        Some(text) => parse_url(text)?,
        None => CoordinatorUrl::Unix(places::client_socket()),
    };
    let peer = match &global.token_file {
        Some(file) => Peer::Token(read_secret(file)?),
        None => Peer::Anonymous,
    };
    let endpoint =
        HttpEndpoint::connect(url.clone(), client_config(global.ca.as_deref(), SOFTWARE))
            .with_context(|| format!("cannot connect to {url}"))?;
    let client = Client::new(Arc::new(endpoint), peer);
    // Asked once: whoever types a command wants to know at once that nobody is there.
    let welcome = client
        .clone()
        .with_patience(Duration::ZERO)
        .hello(SOFTWARE)
        .await;
    let welcome = welcome.with_context(|| match &global.coordinator {
        Some(_) => format!("cannot reach the coordinator at {url}"),
        None => format!(
            "cannot reach the coordinator at {url} (another one is named with --coordinator)"
        ),
    })?;
    Ok((client, welcome))
}

/// Reads a coordinator's URL.
///
/// # Errors
///
/// It is none.
pub fn parse_url(text: &str) -> anyhow::Result<CoordinatorUrl> {
    text.parse()
        .map_err(|error: grange_transport_http::ParseUrlError| failure::usage(error.to_string()))
}

/// How to connect, trusting the given CA.
#[must_use]
pub fn client_config(ca: Option<&Path>, software: &str) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.software = software.to_owned();
    if let Some(ca) = ca {
        config.ca = Pem::File(ca.to_owned());
    }
    config
}

/// A token or password from a file: its first line.
///
/// # Errors
///
/// The file cannot be read, is too long, or its first line is empty.
pub fn read_secret(file: &Path) -> anyhow::Result<Secret> {
    use std::io::Read as _;
    let name = file.display();
    let open =
        std::fs::File::open(file).with_context(|| format!("cannot read the secret in {name}"))?;
    let mut text = String::new();
    open.take(SECRET + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read the secret in {name}"))?;
    if text.len() as u64 > SECRET {
        return Err(failure::config(format!(
            "{name} has more than {SECRET} bytes, so it holds no token or password"
        )));
    }
    match text.lines().next().map(str::trim) {
        Some(secret) if !secret.is_empty() => Ok(Secret(secret.to_owned())),
        _ => Err(failure::config(format!(
            "the first line of {name} is empty; it must be the token or password"
        ))),
    }
}
