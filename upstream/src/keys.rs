//! Whom to trust, from the files that Guix and Nix have.

use grange_signatures::TrustedKeys;
use grange_signatures::guix::{self, Acl, AclError, PublicKey};
use grange_signatures::nix;
use grange_signatures::sexp::Sexp;

/// Why a text has no keys. It is the operator's turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// An S-expression is no list of keys.
    #[error("it begins like Guix's access-control list, but is none")]
    Acl(#[from] AclError),
    /// An S-expression is no key.
    #[error("it begins like a public key of Guix, but is none")]
    Guix(#[from] guix::KeyError),
    /// A word is no key of Nix.
    #[error("line {line} should have public keys of Nix, NAME:BASE64")]
    Nix {
        /// Which, from 1.
        line: usize,
        /// Why not.
        #[source]
        source: nix::KeyError,
    },
    /// It is neither of Guix nor of Nix.
    #[error("it is not UTF-8, and no S-expression of Guix")]
    Text,
    /// There is none that can be used.
    #[error("there is no key in it that can be used")]
    None,
}

/// Adds the public keys of a text: Guix's `/etc/guix/acl` or `signing-key.pub`, or Nix's `NAME:BASE64`, separated by
/// white space, with comments after `#`.
///
/// # Errors
///
/// If it is none of these, or has no key; nothing is added then.
pub fn add_keys(keys: &mut TrustedKeys, text: &[u8]) -> Result<(), KeysError> {
    if text.trim_ascii_start().starts_with(b"(") {
        let list = Sexp::parse(text).is_ok_and(|sexp| sexp.tagged("acl").is_some());
        if !list {
            keys.add_guix(PublicKey::parse(text)?);
            return Ok(());
        }
        let acl = Acl::parse(text)?;
        if acl.keys().next().is_none() {
            return Err(KeysError::None);
        }
        keys.add_acl(&acl);
        return Ok(());
    }
    let text = std::str::from_utf8(text).map_err(|_| KeysError::Text)?;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        for word in line.split_whitespace() {
            let key = nix::PublicKey::parse(word);
            found.push(key.map_err(|source| KeysError::Nix {
                line: at + 1,
                source,
            })?);
        }
    }
    if found.is_empty() {
        return Err(KeysError::None);
    }
    for key in found {
        keys.add_nix(key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &[u8]) -> Result<TrustedKeys, KeysError> {
        let mut keys = TrustedKeys::new();
        add_keys(&mut keys, text).map(|()| keys)
    }

    #[test]
    fn of_guix() {
        let [one, two] = [1, 2].map(|n| *guix::SecretKey::generate(&[n; 32]).public());
        assert_eq!(
            keys(&one.to_file()).unwrap().guix().collect::<Vec<_>>(),
            [&one]
        );
        let mut acl = Acl::new();
        assert!(matches!(keys(&acl.to_file()), Err(KeysError::None)));
        acl.authorize(&one);
        acl.authorize(&two);
        let read = keys(&[b"\n", &acl.to_file()[..]].concat()).unwrap();
        assert_eq!(read.guix().count(), 2);
        assert!(matches!(keys(b"(acl x)"), Err(KeysError::Acl(_))));
        assert!(matches!(keys(b"(public-key"), Err(KeysError::Guix(_))));
    }

    #[test]
    fn of_nix() {
        let name = |text| nix::KeyName::new(text).unwrap();
        let [one, two] =
            ["a-1", "b-1"].map(|n| nix::SecretKey::generate(name(n), &[1; 32]).public());
        let read = keys(format!("# mine\n{one} {two} # both\n").as_bytes()).unwrap();
        assert_eq!(read.nix().collect::<Vec<_>>(), [&one, &two]);
        assert!(matches!(
            keys(b"\nx:y"),
            Err(KeysError::Nix { line: 2, .. })
        ));
        assert!(matches!(keys(b"# none"), Err(KeysError::None)));
        assert!(matches!(keys(b"\xff"), Err(KeysError::Text)));
    }
}
