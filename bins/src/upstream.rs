//! Substitute servers of others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use grange_coordinator::Upstreams;
use grange_interfaces::Upstream;
use grange_signatures::{TrustedKeys, nix};
use grange_upstream::{Config, SubstituteServers, add_keys};

use crate::connect::SOFTWARE;
use crate::failure;

/// A file of keys has at most so many bytes.
const KEYS: u64 = 1 << 20;

/// Which servers, and whom to trust, on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct SubstituteFlags {
    /// A substitute server of others, whose outputs need not be built here: http://HOST:PORT/PATH or https://…; may be
    /// given several times, and several at once with spaces between them; asked in this order [default: none]
    #[arg(long, value_name = "URL", value_delimiter = ' ')]
    pub substitute_urls: Vec<String>,
    /// A substitute server that has derivations and their sources, for those that are lacking; likewise [default: none;
    /// those of --substitute-urls are asked in any case]
    #[arg(long, value_name = "URL", value_delimiter = ' ')]
    pub derivation_substitute_urls: Vec<String>,
    /// Whose signatures count on what these servers have: a file as Guix and Nix have them (/etc/guix/acl, a .pub), or
    /// a public key of Nix itself, NAME:BASE64; may be given several times
    #[arg(long, value_name = "FILE|KEY", value_delimiter = ' ')]
    pub substitute_keys: Vec<String>,
    /// A file with the CA certificates to trust, in PEM, for those of these servers that are https [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub substitute_ca: Option<PathBuf>,
}

/// Which servers, and whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Their URLs, in the order in which they are asked.
    pub urls: Vec<String>,
    /// Those that have derivations and sources.
    pub derivation_urls: Vec<String>,
    /// Files of keys, and public keys of Nix.
    pub keys: Vec<String>,
    /// CA certificates to trust; none for the system's.
    pub ca: Option<PathBuf>,
}

impl SubstituteFlags {
    /// What they say, else what a configuration file does.
    #[must_use]
    pub fn or_file(&self, file: UpstreamSettings) -> UpstreamSettings {
        let said = |flags: &[String], file: Vec<String>| match flags {
            [] => file,
            flags => flags.to_vec(),
        };
        UpstreamSettings {
            urls: said(&self.substitute_urls, file.urls),
            derivation_urls: said(&self.derivation_substitute_urls, file.derivation_urls),
            keys: said(&self.substitute_keys, file.keys),
            ca: self.substitute_ca.clone().or(file.ca),
        }
    }
}

impl UpstreamSettings {
    /// Makes the files among keys relative to a directory.
    pub(crate) fn make_absolute(keys: &mut [String], base: &Path) {
        for key in keys
            .iter_mut()
            .filter(|key| nix::PublicKey::parse(key).is_err())
        {
            *key = base.join(&*key).display().to_string();
        }
    }

    /// Those for outputs, and those for derivations, if there are any. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// A URL is none, a file cannot be read or has no keys, or nobody is trusted.
    pub fn open(&self) -> anyhow::Result<Upstreams> {
        let keys = self.trusted()?;
        Ok(Upstreams {
            items: self.servers(&keys, self.urls.iter())?,
            derivations: self.servers(&keys, self.derivation_urls.iter())?,
        })
    }

    /// All of them, one after the other, if there are any. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// As for [`UpstreamSettings::open`].
    pub fn open_all(&self) -> anyhow::Result<Option<Arc<dyn Upstream>>> {
        let keys = self.trusted()?;
        self.servers(&keys, self.urls.iter().chain(&self.derivation_urls))
    }

    /// Each of those for outputs, with its URL. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// As for [`UpstreamSettings::open`].
    pub fn open_each(&self) -> anyhow::Result<Vec<(&str, Arc<dyn Upstream>)>> {
        let keys = self.trusted()?;
        let mut all = Vec::new();
        for url in &self.urls {
            if let Some(server) = self.servers(&keys, std::iter::once(url))? {
                all.push((&**url, server));
            }
        }
        Ok(all)
    }

    fn servers<'a>(
        &self,
        keys: &TrustedKeys,
        urls: impl Iterator<Item = &'a String>,
    ) -> anyhow::Result<Option<Arc<dyn Upstream>>> {
        // An empty text stands for none, as it does for guix-daemon.
        let urls = urls.filter(|url| !url.is_empty()).map(|url| url.parse());
        let urls: Vec<_> = urls
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(anyhow::Error::from(error)))?;
        if urls.is_empty() {
            return Ok(None);
        }
        let mut config = Config::new(urls, keys.clone());
        config.software = SOFTWARE.into();
        if let Some(ca) = &self.ca {
            config.ca.clone_from(ca);
        }
        let servers = SubstituteServers::new(&config).map_err(|error| wrong(error.into()))?;
        Ok(Some(Arc::new(servers)))
    }

    fn trusted(&self) -> anyhow::Result<TrustedKeys> {
        self.read_keys().map_err(wrong)
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

fn wrong(error: anyhow::Error) -> anyhow::Error {
    failure::config(failure::one_line(&error))
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
            ..UpstreamSettings::default()
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
        assert!(both.open_all().unwrap().is_some());
    }

    #[test]
    fn each_kind_of_server_is_opened_for_itself() {
        let key = ["n-1:S7UuNmnV/cR7hW3B7jjuYXRU/KnFD0F5Io6EUWYwXAo="];
        let mut both = settings(&["http://a", "http://b"], &key);
        let opened = both.open().unwrap();
        assert!(opened.items.is_some() && opened.derivations.is_none());
        both.derivation_urls = vec!["http://c".to_owned()];
        assert!(both.open().unwrap().derivations.is_some());
        let each = both.open_each().unwrap();
        let urls: Vec<_> = each.iter().map(|(url, _)| *url).collect();
        assert_eq!(urls, ["http://a", "http://b"]);
        both.urls.clear();
        assert!(both.open_all().unwrap().is_some());
    }

    #[test]
    fn flags_count_more_than_the_file() {
        let file = UpstreamSettings {
            derivation_urls: vec!["http://c".to_owned()],
            ca: Some("file.pem".into()),
            ..settings(&["http://a"], &["file"])
        };
        let mut flags = SubstituteFlags::default();
        assert_eq!(flags.or_file(file.clone()), file);
        flags.substitute_urls = vec!["http://d".to_owned()];
        flags.substitute_ca = Some("flag.pem".into());
        let expected = UpstreamSettings {
            urls: flags.substitute_urls.clone(),
            ca: flags.substitute_ca.clone(),
            ..file.clone()
        };
        assert_eq!(flags.or_file(file), expected);
    }

    #[test]
    fn what_cannot_be_is_said() {
        assert!(settings(&[], &[]).open_all().unwrap().is_none());
        assert!(settings(&[""], &[]).open_all().unwrap().is_none());
        for (urls, keys, says) in [
            (&["http://h"][..], &[][..], "no trusted keys"),
            (&["h"], &["/dev/null"], "no key in it"),
            (&["ftp://h"], &["n-1:AAAA"], "cannot read the keys"),
        ] {
            let error = format!("{:#}", settings(urls, keys).open_all().unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
