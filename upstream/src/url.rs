//! Where a server is, and where it may send us.

use std::fmt;
use std::str::FromStr;

use grange_signatures::narinfo::NarUrl;
use http::Uri;
use http::uri::Scheme;

/// Where a substitute server is: `http://HOST:PORT/PATH` or `https://HOST:PORT/PATH`; `nix-cache-info` lies right below.
///
/// Credentials and queries are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    scheme: Scheme,
    /// Host, and port where it is given, in small letters.
    authority: String,
    /// Begins and ends with a slash.
    path: String,
}

/// A text is no [`ServerUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no substitute server's URL: {what}; write http://HOST:PORT/PATH or https://HOST:PORT/PATH"
)]
pub struct ParseUrlError {
    text: String,
    what: &'static str,
}

impl ServerUrl {
    /// Whether it is of https.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// What lies at a path relative to the server's root.
    pub(crate) fn join(&self, relative: &str) -> Result<Uri, String> {
        read(&format!("{self}{relative}"))
    }

    /// Where a narinfo of this server says that a nar is.
    pub(crate) fn nar(&self, url: &NarUrl) -> Result<Uri, String> {
        match url.relative() {
            Some(relative) => self.join(relative),
            None => self.follow(&self.join("")?, url.as_str()),
        }
    }

    /// Where a reference leads that was found at `from`, unless it must not be followed.
    pub(crate) fn follow(&self, from: &Uri, reference: &str) -> Result<Uri, String> {
        let scheme = from.scheme_str().unwrap_or_default();
        let authority = from.authority().map_or("", |authority| authority.as_str());
        let whole = if reference.starts_with("//") {
            format!("{scheme}:{reference}")
        } else if reference.starts_with('/') {
            format!("{scheme}://{authority}{reference}")
        } else if has_scheme(reference) {
            reference.to_owned()
        } else if reference.starts_with('?') {
            format!("{scheme}://{authority}{}{reference}", from.path())
        } else {
            let directory = from.path().rsplit_once('/').map_or("", |(above, _)| above);
            format!("{scheme}://{authority}{directory}/{reference}")
        };
        let uri = read(&whole)?;
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        let own = uri.scheme() == Some(&self.scheme)
            && uri
                .authority()
                .is_some_and(|to| to.as_str().eq_ignore_ascii_case(&self.authority));
        if https || own {
            Ok(uri)
        } else {
            Err(format!(
                "it leads to {}, which is neither the same server nor https",
                shown(&whole)
            ))
        }
    }
}

/// A URL of http or https without credentials.
fn read(text: &str) -> Result<Uri, String> {
    let uri: Uri = text
        .parse()
        .map_err(|_| format!("{} is no URL", shown(text)))?;
    let scheme = uri.scheme();
    if scheme != Some(&Scheme::HTTP) && scheme != Some(&Scheme::HTTPS) {
        return Err(format!("{} is of neither http nor https", shown(text)));
    }
    if uri
        .authority()
        .is_none_or(|authority| authority.as_str().contains('@') || authority.host().is_empty())
    {
        return Err("it leads to a URL with credentials, or without a host".to_owned());
    }
    Ok(uri)
}

/// What may stand in an error.
fn shown(text: &str) -> String {
    text.chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

fn has_scheme(text: &str) -> bool {
    text.find([':', '/', '?', '#'])
        .is_some_and(|at| text.as_bytes()[at] == b':')
}

impl FromStr for ServerUrl {
    type Err = ParseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what| ParseUrlError {
            text: text.to_owned(),
            what,
        };
        let uri: Uri = text.parse().map_err(|_| wrong("it cannot be read"))?;
        let authority = uri
            .authority()
            .ok_or_else(|| wrong("the host is missing"))?;
        if authority.as_str().contains('@') {
            // The text may have a password in it: it is not shown then.
            let text = format!("…@{}", authority.host());
            return Err(ParseUrlError {
                text,
                what: "credentials are not given in the URL",
            });
        }
        let scheme = uri
            .scheme()
            .filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| wrong("the scheme is missing or not known"))?;
        if authority.host().is_empty() {
            return Err(wrong("the host is missing"));
        }
        let after_host = &authority.as_str()[authority.host().len()..];
        if after_host
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_err())
        {
            return Err(wrong("the port is none"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(wrong("it has a query or a fragment"));
        }
        Ok(Self {
            scheme: scheme.clone(),
            authority: authority.as_str().to_ascii_lowercase(),
            path: format!("{}/", uri.path().trim_end_matches('/')),
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> ServerUrl {
        text.parse().unwrap()
    }

    #[test]
    fn urls_are_read_and_printed() {
        for (text, printed) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            (
                "https://Cache.example.org/guix/",
                "https://cache.example.org/guix/",
            ),
            (
                "https://cache.example.org/a/b",
                "https://cache.example.org/a/b/",
            ),
            ("http://[::1]:80", "http://[::1]:80/"),
        ] {
            assert_eq!(server(text).to_string(), printed);
        }
        for (text, what) in [
            ("", "cannot be read"),
            ("/gnu", "host is missing"),
            ("ftp://host", "scheme"),
            ("http://host:99999", "port"),
            ("http://host:", "port"),
            ("http://host/?x", "query"),
            ("http://host/#x", "fragment"),
        ] {
            let error = text.parse::<ServerUrl>().unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
        let error = "http://me:secret@host"
            .parse::<ServerUrl>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("credentials") && !error.contains("secret"),
            "{error}"
        );
    }

    #[test]
    fn nars_are_where_the_server_says() {
        let server = server("http://h:1/root");
        for (url, whole) in [
            ("nar/x%2B", "http://h:1/root/nar/x%2B"),
            ("nar/x?hash=1", "http://h:1/root/nar/x?hash=1"),
            ("/nar/x", "http://h:1/nar/x"),
            ("http://H:1/nar/x", "http://h:1/nar/x"),
            ("//h:1/nar/x", "http://h:1/nar/x"),
            ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ] {
            let uri = server.nar(&url.parse().unwrap()).unwrap();
            assert!(uri.to_string().eq_ignore_ascii_case(whole), "{url}: {uri}");
        }
    }

    #[test]
    fn what_leads_astray_is_refused() {
        let http = server("http://h:1");
        for url in [
            "http://169.254.169.254/latest",
            "http://h:2/x",
            "//other/x",
            "file:///etc/passwd",
            "ftp://h:1/x",
            "https://me:secret@h/x",
            "https:x",
        ] {
            let error = http.nar(&url.parse().unwrap()).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        // Not even back to plain HTTP.
        let https = server("https://h");
        assert!(https.nar(&"http://h/x".parse().unwrap()).is_err());
    }

    #[test]
    fn redirects_are_relative_to_where_they_stand() {
        let server = server("http://h:1/root");
        let from = "http://h:1/root/nar/x?y".parse().unwrap();
        for (location, whole) in [
            ("z", "http://h:1/root/nar/z"),
            ("?q", "http://h:1/root/nar/x?q"),
            ("/z", "http://h:1/z"),
        ] {
            assert_eq!(server.follow(&from, location).unwrap(), whole);
        }
        assert!(server.follow(&from, "http://other/").is_err());
        assert!(server.follow(&from, "a b").is_err());
    }
}
