//! `sqlite:PATH`.

use std::path::PathBuf;

/// A text names no SQLite database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Another kind of database, or no URI at all.
    #[error("a SQLite database is named sqlite:PATH, not `{0}`")]
    Scheme(String),
    /// Nothing behind the colon.
    #[error("`{0}` names no file")]
    Empty(String),
    /// `sqlite://host/path`.
    #[error(
        "`{0}` names a host, but a SQLite database is a local file: write sqlite:PATH or sqlite:///PATH"
    )]
    Host(String),
    /// `sqlite:path?option`.
    #[error("`{0}` has options behind `?`, and there are none for SQLite")]
    Options(String),
}

/// The file that `sqlite:PATH` or `sqlite:///PATH` names. Nothing in it is percent-decoded.
///
/// # Errors
///
/// [`UriError`]: the operator mends what was given.
pub fn path_of_uri(uri: &str) -> Result<PathBuf, UriError> {
    let Some(rest) = uri.strip_prefix("sqlite:") else {
        return Err(UriError::Scheme(uri.to_owned()));
    };
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(UriError::Host(uri.to_owned())),
        None => rest,
    };
    if path.contains('?') {
        return Err(UriError::Options(uri.to_owned()));
    }
    if path.is_empty() || path.ends_with('/') {
        return Err(UriError::Empty(uri.to_owned()));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_they_are() {
        for (uri, path) in [
            ("sqlite:grange.db", "grange.db"),
            ("sqlite:./a b%20.db", "./a b%20.db"),
            ("sqlite:/var/lib/grange.db", "/var/lib/grange.db"),
            ("sqlite:///var/lib/grange.db", "/var/lib/grange.db"),
        ] {
            assert_eq!(path_of_uri(uri), Ok(PathBuf::from(path)), "{uri}");
        }
    }

    #[test]
    fn what_names_no_file_is_refused() {
        let text = String::from;
        assert_eq!(
            path_of_uri("grange.db"),
            Err(UriError::Scheme(text("grange.db")))
        );
        assert_eq!(
            path_of_uri("postgres:x"),
            Err(UriError::Scheme(text("postgres:x")))
        );
        assert_eq!(
            path_of_uri("sqlite:"),
            Err(UriError::Empty(text("sqlite:")))
        );
        assert_eq!(
            path_of_uri("sqlite:///"),
            Err(UriError::Empty(text("sqlite:///")))
        );
        assert_eq!(
            path_of_uri("sqlite:dir/"),
            Err(UriError::Empty(text("sqlite:dir/")))
        );
        assert_eq!(
            path_of_uri("sqlite://host/x"),
            Err(UriError::Host(text("sqlite://host/x")))
        );
        assert_eq!(
            path_of_uri("sqlite:x?mode=ro"),
            Err(UriError::Options(text("sqlite:x?mode=ro")))
        );
    }
}
