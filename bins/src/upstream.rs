//! Substitute servers of others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use grange_interfaces::Upstream;
use grange_signatures::{TrustedKeys, nix};
use grange_upstream::{Config, SubstituteServers, add_keys};

use crate::connect::SOFTWARE;
use crate::failure;

/// A file of keys has at most so many bytes.
const KEYS: u64 = 1 << 20;

/// Which servers, and whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Their URLs, in the order in which they are asked.
    pub urls: Vec<String>,
    /// Files of keys, and public keys of Nix.
    pub keys: Vec<String>,
    /// CA certificates to trust; none for the system's.
    pub ca: Option<PathBuf>,
}

impl UpstreamSettings {
    /// What a configuration file says, where flags say nothing.
    pub(crate) fn or(&mut self, urls: Vec<String>, keys: Vec<String>) {
        if self.urls.is_empty() {
            self.urls = urls;
        }
        if self.keys.is_empty() {
            self.keys = keys;
        }
    }

    /// Makes the files among keys relative to a directory.
    pub(crate) fn make_absolute(keys: &mut [String], base: &Path) {
        for key in keys
            .iter_mut()
            .filter(|key| nix::PublicKey::parse(key).is_err())
        {
            *key = base.join(&*key).display().to_string();
        }
    }

    /// The servers, if there are any. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// A URL is none, a file cannot be read or has no keys, or nobody is trusted.
    pub fn open(&self) -> anyhow::Result<Option<Arc<dyn Upstream>>> {
        let wrong = |error: anyhow::Error| failure::config(failure::one_line(&error));
        let keys = self.read_keys().map_err(wrong)?;
        // An empty text stands for none, as it does for guix-daemon.
        let urls: Vec<_> = self.urls.iter().filter(|url| !url.is_empty()).collect();
        if urls.is_empty() {
            return Ok(None);
        }
        let urls = urls.iter().map(|url| url.parse());
        let urls = urls
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(anyhow::Error::from(error)))?;
        let mut config = Config::new(urls, keys);
        config.software = SOFTWARE.into();
        if let Some(ca) = &self.ca {
            config.ca.clone_from(ca);
        }
        let servers = SubstituteServers::new(&config).map_err(|error| wrong(error.into()))?;
        Ok(Some(Arc::new(servers)))
    }

    fn read_keys(&self) -> anyhow::Result<TrustedKeys> {
        let mut keys = TrustedKeys::new();
        for text in &self.keys {
            if let Ok(key) = nix::PublicKey::parse(text) {
                keys.add_nix(key);
                continue;
            }
            let what = || format!("cannot read the keys of substitute servers in {text}");
            let length = std::fs::metadata(text).with_context(what)?.len();
            if length > KEYS {
                anyhow::bail!("{text} has {length} bytes, too many for a file of keys");
            }
            let file = std::fs::read(text).with_context(what)?;
            add_keys(&mut keys, &file).with_context(what)?;
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use grange_signatures::guix;

    use super::*;

    fn settings(urls: &[&str], keys: &[&str]) -> UpstreamSettings {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        UpstreamSettings {
            urls: own(urls),
            keys: own(keys),
            ca: None,
        }
    }

    #[test]
    fn keys_of_files_and_of_the_command_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("signing-key.pub");
        std::fs::write(
            &file,
            guix::SecretKey::generate(&[1; 32]).public().to_file(),
        )
        .unwrap();
        let name = nix::KeyName::new("cache-1").unwrap();
        let nix = nix::SecretKey::generate(name, &[1; 32])
            .public()
            .to_string();
        let mut keys = vec![nix.clone(), "signing-key.pub".to_owned()];
        UpstreamSettings::make_absolute(&mut keys, directory.path());
        assert_eq!(keys, [nix, file.display().to_string()]);
        let both = UpstreamSettings {
            keys,
            ..settings(&["http://127.0.0.1:1"], &[])
        };
        let read = both.read_keys().unwrap();
        assert_eq!((read.guix().count(), read.nix().count()), (1, 1));
        assert!(both.open().unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_is_said() {
        assert!(settings(&[], &[]).open().unwrap().is_none());
        assert!(settings(&[""], &[]).open().unwrap().is_none());
        for (urls, keys, says) in [
            (&["http://h"][..], &[][..], "no trusted keys"),
            (&["h"], &["/dev/null"], "no key in it"),
            (&["ftp://h"], &["n-1:AAAA"], "cannot read the keys"),
        ] {
            let error = format!("{:#}", settings(urls, keys).open().unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
