//! `/etc/guix/acl`.

use super::PublicKey;
use super::error::AclError;
use crate::sexp::Sexp;

/// The access-control list of a guix-daemon: the keys whose signatures let an item in.
///
/// `(acl (entry KEY (tag (guix import))) …)`. Keys of other algorithms are kept and printed, but only those that
/// [`PublicKey`] can be are ever found in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acl {
    keys: Vec<Sexp>,
}

impl Acl {
    /// A list without keys: nothing is let in.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: Vec::new() }
    }

    /// Reads `/etc/guix/acl`.
    ///
    /// # Errors
    /// If it is no such list. As in Guix, one entry that is not understood spoils the list.
    pub fn parse(file: &[u8]) -> Result<Self, AclError> {
        let sexp = Sexp::parse(file)?;
        let entries = sexp.tagged("acl").ok_or(AclError::NotAcl)?;
        let key = |(at, entry): (usize, &Sexp)| match entry.tagged("entry") {
            Some([key, tag]) if *tag == import() && key.only("public-key").is_some() => {
                Ok(key.clone())
            }
            _ => Err(AclError::Entry(at + 1)),
        };
        let keys = entries
            .iter()
            .enumerate()
            .map(key)
            .collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// What Guix writes to `/etc/guix/acl`.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let entry = |key: &Sexp| Sexp::list([Sexp::atom("entry"), key.clone(), import()]);
        let entries = self.keys.iter().map(entry);
        Sexp::list([Sexp::atom("acl")].into_iter().chain(entries)).to_advanced()
    }

    /// Whether a daemon with this list takes what the key signed.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        let key = key.to_sexp();
        self.keys.contains(&key)
    }

    /// Adds a key, and tells whether it was not in the list.
    pub fn authorize(&mut self, key: &PublicKey) -> bool {
        let new = !self.contains(key);
        if new {
            self.keys.push(key.to_sexp());
        }
        new
    }

    /// Takes a key out, and tells whether it was in the list.
    pub fn revoke(&mut self, key: &PublicKey) -> bool {
        let (key, before) = (key.to_sexp(), self.keys.len());
        self.keys.retain(|other| *other != key);
        self.keys.len() < before
    }

    /// The keys that are usable here, in order.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> {
        self.keys
            .iter()
            .filter_map(|key| PublicKey::from_sexp(key).ok())
    }

    /// How many keys there are of algorithms that are not supported here.
    #[must_use]
    pub fn unsupported(&self) -> usize {
        self.keys.len() - self.keys().count()
    }
}

/// `(tag (guix import))`.
fn import() -> Sexp {
    Sexp::list([
        Sexp::atom("tag"),
        Sexp::list([Sexp::atom("guix"), Sexp::atom("import")]),
    ])
}
