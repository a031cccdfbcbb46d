//! Which derivations are of one package: what one of them took says what another may take.

use std::borrow::Cow;

/// Endings of files that are fetched or made, and have the version before them.
const ENDINGS: [&str; 8] = [
    ".tar", ".zip", ".tgz", ".crate", ".gem", ".jar", ".patch", ".diff",
];

/// The name of a derivation without `.drv` and without its version.
///
/// The version is the last part between dashes that begins with a digit, but for the ending of a file: `hello-2.12.tar.gz` is
/// of `hello.tar.gz`, as a download says nothing about a build. A date counts as one version, and so does what Guix calls a
/// commit: `1.0-2.a1b2c3d`.
pub(crate) fn package(derivation: &str) -> Cow<'_, str> {
    let name = derivation.strip_suffix(".drv").unwrap_or(derivation);
    let mut dashes = name.match_indices('-').map(|(at, _)| at);
    let Some(dash) = dashes.rfind(|at| is_version(&name[at + 1..])) else {
        return Cow::Borrowed(name);
    };
    let version = name[dash + 1..].split('-').next().unwrap_or_default();
    let endings = ENDINGS.iter().filter_map(|ending| version.find(ending));
    let length = endings.min().unwrap_or(version.len());
    let rest = &name[dash + 1 + length..];
    let mut before = &name[..dash];
    let mut part = &version[..length];
    // What else belongs to the version lies before it.
    while is_number(part) || is_commit(part) {
        match before.rsplit_once('-') {
            Some((shorter, earlier)) if is_version(earlier) => (before, part) = (shorter, earlier),
            _ => break,
        }
    }
    if rest.is_empty() {
        Cow::Borrowed(before)
    } else {
        Cow::Owned(format!("{before}{rest}"))
    }
}

fn is_version(part: &str) -> bool {
    part.starts_with(|first: char| first.is_ascii_digit())
}

fn is_number(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
}

/// A revision, and the beginning of a commit's hash.
fn is_commit(part: &str) -> bool {
    part.split_once('.').is_some_and(|(revision, hash)| {
        is_number(revision) && hash.len() >= 7 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_called_like_its_derivations_without_version() {
        for (derivation, expected) in [
            ("hello-2.12.1.drv", "hello"),
            ("hello-2.12.1", "hello"),
            ("python-3.11-foo.drv", "python-foo"),
            ("python3.11-foo-1.0.drv", "python3.11-foo"),
            (
                "gcc-cross-x86_64-linux-gnu-14.3.0.drv",
                "gcc-cross-x86_64-linux-gnu",
            ),
            ("foo-2.12.2.tar.xz.drv", "foo.tar.xz"),
            ("foo-1.0.patch.drv", "foo.patch"),
            ("foo-2.12-checkout.drv", "foo-checkout"),
            ("foo-1.0-2.a1b2c3d.drv", "foo"),
            ("foo-1.0-2.a1b2c3d-checkout.drv", "foo-checkout"),
            ("foo-unstable-2024-01-02.drv", "foo-unstable"),
            ("module-import.drv", "module-import"),
            ("0ad.drv", "0ad"),
            ("0ad-0.0.26.drv", "0ad"),
            ("x264.drv", "x264"),
            ("-1.drv", ""),
            ("1-2-3.drv", "1"),
            (".drv", ""),
            ("", ""),
            ("a-", "a-"),
            ("größe-1-ß.drv", "größe-ß"),
        ] {
            assert_eq!(package(derivation), expected, "{derivation}");
        }
    }
}
