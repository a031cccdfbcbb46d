//! Substitute servers of others, as command lines and files name them.

use std::fmt::Display;
use std::sync::Arc;

use grange_interfaces::Upstream;
use grange_signatures::TrustedKeys;
use grange_upstream::{Config, ServerUrl, SubstituteServers, add_keys};

use crate::connect::SOFTWARE;
use crate::failure;

/// A client of these servers, who believes what these keys have signed; none if there are no servers.
///
/// A key is a file of Guix (`/etc/guix/acl`, a `.pub`) or Nix, or a public key of Nix itself, `NAME:BASE64`.
///
/// # Errors
///
/// A URL or a key is none, or a file cannot be read: the operator has to act.
pub fn servers(urls: &[String], keys: &[String]) -> anyhow::Result<Option<Arc<dyn Upstream>>> {
    if urls.is_empty() {
        return Ok(None);
    }
    let mut servers = Vec::new();
    for url in urls {
        let url: Result<ServerUrl, _> = url.parse();
        servers.push(url.map_err(|error| wrong(&error))?);
    }
    let mut trusted = TrustedKeys::new();
    for key in keys {
        // The base64 of a key may have slashes, so that the name of a key says more than they do.
        let text = match std::fs::read(key) {
            Err(_) if is_nix_key(key) => key.clone().into_bytes(),
            text => text.map_err(|error| wrong(&format_args!("the key {key}: {error}")))?,
        };
        add_keys(&mut trusted, &text).map_err(|error| {
            wrong(&format_args!(
                "the key {key}: {:#}",
                anyhow::Error::new(error)
            ))
        })?;
    }
    let mut config = Config::new(servers, trusted);
    config.software = SOFTWARE.to_owned();
    let client = SubstituteServers::new(&config)
        .map_err(|error| wrong(&format_args!("{:#}", anyhow::Error::new(error))))?;
    Ok(Some(Arc::new(client)))
}

fn is_nix_key(text: &str) -> bool {
    let name = text.split(':').next().unwrap_or_default();
    name.len() < text.len() && !name.contains('/')
}

fn wrong(what: &dyn Display) -> anyhow::Error {
    failure::config(format!("substitute servers: {what}"))
}

#[cfg(test)]
mod tests {
    use grange_signatures::guix::SecretKey;

    use super::*;

    fn refused(urls: &[&str], keys: &[&str]) -> String {
        let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let error = servers(&texts(urls), &texts(keys)).unwrap_err();
        assert_eq!(failure::exit_of(&error), failure::Exit::Config);
        error.to_string()
    }

    #[test]
    fn what_is_wrong_is_named() {
        let url = "http://127.0.0.1:1";
        assert!(refused(&[url, "ftp://x"], &[]).contains("ftp://x"));
        assert!(refused(&[url], &[]).contains("no trusted keys"));
        assert!(refused(&[url], &["/nowhere/acl"]).contains("/nowhere/acl"));
        assert!(refused(&[url], &["a-1:no/base64"]).contains("a-1:no/base64"));
    }

    #[test]
    fn keys_are_files_or_texts() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pub");
        let key = SecretKey::generate(&[1; 32]);
        std::fs::write(&file, key.public().to_file()).unwrap();
        let keys = [
            file.to_str().unwrap().to_owned(),
            "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=".to_owned(),
        ];
        let urls = ["http://127.0.0.1:1".to_owned()];
        assert!(servers(&urls, &keys).unwrap().is_some());
        assert!(servers(&[], &keys).unwrap().is_none());
    }
}
