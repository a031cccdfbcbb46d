//! What a path asks for.

use grange_derivation::base32;

use crate::compression::NarCompression;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// `guix` or `nix`.
    pub(crate) root: String,
    pub(crate) page: Page,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Page {
    CacheInfo,
    Narinfo([u8; 20]),
    /// A nar, by the item's base name.
    Nar(NarCompression, String),
    /// A log, by the derivation's base name.
    Log(String),
    /// A source: a file's name and its SHA-256.
    File(String, String),
}

/// Reads a path as it stands in a request.
pub(crate) fn route(path: &str) -> Option<Route> {
    let parts = path
        .strip_prefix('/')?
        .split('/')
        .map(decoded)
        .collect::<Option<Vec<_>>>()?;
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let [root, rest @ ..] = parts.as_slice() else {
        return None;
    };
    let page = match rest {
        ["nix-cache-info"] => Page::CacheInfo,
        [file] => {
            let hash = file.strip_suffix(".narinfo")?;
            Page::Narinfo(base32::decode_digest(hash.as_bytes()).ok()?)
        }
        ["nar", compression, name] => Page::Nar(compression.parse().ok()?, (*name).to_owned()),
        ["log", name] => Page::Log((*name).to_owned()),
        ["file", name, "sha256", hash] => Page::File((*name).to_owned(), (*hash).to_owned()),
        _ => return None,
    };
    Some(Route {
        root: (*root).to_owned(),
        page,
    })
}

/// A part of a path, without percent-encoding. What no part of ours has is not taken: slashes, controls, other
/// alphabets, parents.
fn decoded(part: &str) -> Option<String> {
    let mut plain = String::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let byte = if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            rest = tail;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
        } else {
            *first
        };
        if !byte.is_ascii_graphic() || byte == b'/' {
            return None;
        }
        plain.push(char::from(byte));
    }
    (plain != ".." && plain != "." && !plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "xhdiavzywyni9xl1b7ya4a3zka45n766";

    fn page(path: &str) -> Option<Page> {
        route(path).map(|route| route.page)
    }

    #[test]
    fn paths_of_both_kinds_of_clients() {
        assert_eq!(page("/guix/nix-cache-info"), Some(Page::CacheInfo));
        assert_eq!(route("/nix/nix-cache-info").unwrap().root, "nix");
        assert!(matches!(
            page(&format!("/guix/{HASH}.narinfo")),
            Some(Page::Narinfo(_))
        ));
        let name = format!("{HASH}-timidity++-2.15.0");
        for spelled in [name.clone(), name.replace('+', "%2b")] {
            let path = format!("/guix/nar/zstd/{spelled}");
            assert_eq!(
                page(&path),
                Some(Page::Nar(NarCompression::Zstd, name.clone())),
                "{path}"
            );
        }
        assert_eq!(
            page("/guix/file/hello-2.12.tar.gz/sha256/1abc"),
            Some(Page::File("hello-2.12.tar.gz".into(), "1abc".into()))
        );
    }

    #[test]
    fn others_are_nothing() {
        for path in [
            "",
            "/",
            "guix/nix-cache-info",
            "/guix",
            "/guix/",
            "/guix/x.narinfo",
            "/guix//nix-cache-info",
            "/guix/nar/zstd/..",
            "/guix/nar/zstd/%2e%2e",
            "/guix/nar/zstd/a%2fb",
            "/guix/nar/zstd/a%00",
            "/guix/nar/zstd/a%",
            "/guix/nar/zstd/a%+1",
            "/guix/nar/zstd/%ff",
            "/guix/nar/zstd/a/b",
            "/guix/nar/rar/a",
            "/guix/../nix/nix-cache-info",
        ] {
            assert_eq!(page(path), None, "{path}");
        }
    }
}
