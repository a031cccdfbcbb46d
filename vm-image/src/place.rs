//! Paths in an image.

use std::fmt;

/// Directories that are links into `/usr`, as on a Debian since 2023.
pub(crate) const MERGED: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// A path in an image: bytes without a slash at either end, no empty, `.` or `..` component. The root is the empty
/// path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(Vec<u8>);

impl Place {
    /// The root.
    pub(crate) const fn root() -> Self {
        Self(Vec::new())
    }

    /// Of an absolute path that is not the root.
    pub(crate) fn absolute(path: &str) -> Result<Self, &'static str> {
        let rest = path.strip_prefix('/').ok_or("it is not absolute")?;
        match Self::relative(rest.as_bytes())? {
            place if place.0.is_empty() => Err("it is the root"),
            place => Ok(place),
        }
    }

    /// Of a path as archives have it: `./usr/bin/` and such.
    pub(crate) fn relative(path: &[u8]) -> Result<Self, &'static str> {
        let place = Self::plain(path)?;
        let first = place.0.split(|&it| it == b'/').next().unwrap_or_default();
        if MERGED.iter().any(|it| it.as_bytes() == first) {
            return Ok(Self([b"usr/", place.0.as_slice()].concat()));
        }
        Ok(place)
    }

    /// The same, not merged into `/usr`.
    pub(crate) fn plain(path: &[u8]) -> Result<Self, &'static str> {
        if path.starts_with(b"/") {
            return Err("it is absolute");
        }
        if path.iter().any(|it| matches!(it, 0 | b'\n')) {
            return Err("it has a zero byte or a line break in it");
        }
        let mut parts = Vec::new();
        for part in path.split(|&it| it == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err("it leads out by '..'"),
                part if part.len() > 255 => return Err("it has a name of more than 255 bytes"),
                part => parts.push(part),
            }
        }
        let joined = parts.join(&b'/');
        if joined.len() > 4000 {
            return Err("it has more than 4000 bytes");
        }
        Ok(Self(joined))
    }

    /// A directory of the root by its very name, not merged.
    pub(crate) fn top(name: &str) -> Self {
        Self(name.as_bytes().to_vec())
    }

    /// The directory it is in.
    pub(crate) fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().rposition(|&it| it == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// The last component.
    pub(crate) fn name(&self) -> &[u8] {
        self.0.rsplit(|&it| it == b'/').next().unwrap_or_default()
    }

    /// Whether it is `other`, or in it.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        match self.0.strip_prefix(other.0.as_slice()) {
            Some(rest) => rest.is_empty() || other.0.is_empty() || rest.starts_with(b"/"),
            None => false,
        }
    }

    /// Whether it is what `/bin` or the like leads to.
    pub(crate) fn is_merged(&self) -> bool {
        let name = self.0.strip_prefix(b"usr/");
        name.is_some_and(|name| MERGED.iter().any(|it| it.as_bytes() == name))
    }

    /// Without the leading slash.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "/{}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        Place::relative(path.as_bytes()).map_or_else(str::to_owned, |place| place.to_string())
    }

    #[test]
    fn paths_are_merged_into_usr() {
        assert_eq!(shown("./bin/sh"), "/usr/bin/sh");
        assert_eq!(shown("lib64/"), "/usr/lib64");
        assert_eq!(shown("./usr/bin//sh"), "/usr/bin/sh");
        assert_eq!(shown("./binary"), "/binary");
        assert_eq!(shown("./etc/bin/x"), "/etc/bin/x");
        assert_eq!(shown("./"), "/");
    }

    #[test]
    fn nothing_leads_out() {
        for path in ["/etc/passwd", "../x", "a/../../b", "a/..", "a\0b", "a\nb"] {
            assert!(Place::relative(path.as_bytes()).is_err(), "{path}");
        }
        assert!(Place::relative(&[b'a'; 300]).is_err());
        assert!(Place::absolute("/.").is_err());
        assert!(Place::absolute("x").is_err());
    }

    #[test]
    fn it_knows_what_it_is_in() {
        let at = |path: &str| Place::relative(path.as_bytes()).unwrap();
        assert!(at("a/b").is_in(&at("a")));
        assert!(at("a").is_in(&at("a")));
        assert!(at("a").is_in(&Place::root()));
        assert!(!at("ab").is_in(&at("a")));
        assert_eq!(at("a/b/c").parent(), Some(at("a/b")));
        assert_eq!(at("a").parent(), Some(Place::root()));
        assert_eq!(Place::root().parent(), None);
        assert_eq!(at("a/b").name(), b"b");
    }
}
