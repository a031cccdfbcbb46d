//! Which packages, in which versions.

use std::process::Stdio;

use super::{Apt, not_run};
use crate::error::ImageError;
use crate::manifest::Package;

/// A package that apt would fetch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resolved {
    pub package: Package,
    /// Its file's name.
    pub file: String,
    /// Bytes of the file.
    pub size: u64,
}

impl Apt {
    /// The packages, and all that they depend on, by name.
    pub(crate) fn resolve(&self, packages: &[String]) -> Result<Vec<Resolved>, ImageError> {
        let output = self
            .command()
            .args(["--print-uris", "install", "--"])
            .args(packages)
            .stdout(Stdio::piped())
            .stderr(self.log_file()?)
            .output()
            .map_err(not_run)?;
        if !output.status.success() {
            let said = self.said();
            let unknown = [
                "Unable to locate package",
                "has no installation candidate",
                "Couldn't find any package",
            ];
            return Err(match unknown.iter().any(|it| said.contains(it)) {
                true => ImageError::UnknownPackage { said },
                false => ImageError::Unresolvable { said },
            });
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter(|line| line.starts_with('\''));
        let mut resolved = lines
            .map(|line| {
                parse(line).ok_or_else(|| ImageError::Unresolvable {
                    said: format!("a line that is not understood, {line}"),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        resolved.sort_unstable();
        resolved.dedup();
        Ok(resolved)
    }
}

/// A line of `--print-uris`: the address in quotes, the file's name, its size, its hash.
fn parse(line: &str) -> Option<Resolved> {
    let (_, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let mut parts = rest.split_ascii_whitespace();
    let (file, size, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let sha256 = hash.strip_prefix("SHA256:")?;
    let is_hex = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    if sha256.len() != 64 || !sha256.bytes().all(is_hex) || file.contains('/') {
        return None;
    }
    let mut fields = file.strip_suffix(".deb")?.split('_');
    let (name, version, _architecture) = (fields.next()?, fields.next()?, fields.next()?);
    let package = Package {
        name: name.to_owned(),
        version: unescaped(version)?,
        sha256: sha256.to_owned(),
    };
    let size = size.parse().ok()?;
    let file = file.to_owned();
    fields.next().is_none().then_some(Resolved {
        package,
        file,
        size,
    })
}

/// apt writes `:` as `%3a` and the like.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut result = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        result.push(char::from(code));
        result.push_str(&part[2..]);
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_apt_are_understood() {
        let sha256 = "ab".repeat(32);
        let line = format!(
            "'http://x/pool/liba_1%2b2.deb' libattr1_1%3a2.5-4+b1_amd64.deb 22164 SHA256:{sha256}"
        );
        let resolved = parse(&line).unwrap();
        assert_eq!(resolved.package.name, "libattr1");
        assert_eq!(resolved.package.version, "1:2.5-4+b1");
        assert_eq!(resolved.size, 22164);
        assert_eq!(resolved.file, "libattr1_1%3a2.5-4+b1_amd64.deb");
    }

    #[test]
    fn what_has_no_sha256_is_not_taken() {
        for line in [
            "'http://x' a_1_all.deb 5 MD5Sum:00",
            "'http://x' a_1_all.deb 5",
            "'http://x' ../a_1_all.deb 5 SHA256:00",
            "'http://x' a_1%zz_all.deb 5 SHA256:00",
            "",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
