//! Where a coordinator is.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// Where a coordinator is: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.
///
/// Without a port it is 80 or 443. Credentials, paths and queries are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoordinatorUrl {
    /// HTTP without encryption.
    Http {
        /// A name or an address, the latter without brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// HTTP over TLS.
    Https {
        /// A name or an address, the latter without brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// A Unix socket on this machine.
    Unix(PathBuf),
}

/// A text is no [`CoordinatorUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no coordinator's URL: {what}; write http://HOST:PORT, https://HOST:PORT or unix:PATH"
)]
pub struct ParseUrlError {
    text: String,
    what: &'static str,
}

impl CoordinatorUrl {
    /// `HOST:PORT`, with brackets where the host is an IPv6 address; `localhost` for a Unix socket.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Http { host, port } | Self::Https { host, port } => {
                if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }
            }
        }
    }
}

impl FromStr for CoordinatorUrl {
    type Err = ParseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text may have a password in it: it is not shown then.
        let wrong = |what| ParseUrlError {
            text: text.to_owned(),
            what,
        };
        match text.strip_prefix("unix:") {
            Some("") => return Err(wrong("the path is missing")),
            Some(path) => return Ok(Self::Unix(PathBuf::from(path))),
            None => {}
        }
        let uri: Uri = text.parse().map_err(|_| wrong("it cannot be read"))?;
        let authority = uri
            .authority()
            .ok_or_else(|| wrong("the host is missing"))?;
        if authority.as_str().contains('@') {
            let text = format!("…@{}", authority.host());
            return Err(ParseUrlError {
                text,
                what: "credentials are not given in the URL",
            });
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("it has a path"));
        }
        let written = authority.host();
        let host = match written
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
        {
            Some(address) if address.parse::<Ipv6Addr>().is_ok() => address.to_owned(),
            None if !written.contains(['[', ']']) => written.to_owned(),
            _ => return Err(wrong("what is in brackets is no IPv6 address")),
        };
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        let behind = &authority.as_str()[written.len()..];
        let port = |otherwise| match behind.strip_prefix(':') {
            None if behind.is_empty() => Ok(otherwise),
            digits => digits
                .and_then(|digits| digits.parse().ok())
                .filter(|&port| port > 0)
                .ok_or_else(|| wrong("the port is none")),
        };
        if uri.scheme() == Some(&Scheme::HTTP) {
            Ok(Self::Http {
                host,
                port: port(80)?,
            })
        } else if uri.scheme() == Some(&Scheme::HTTPS) {
            Ok(Self::Https {
                host,
                port: port(443)?,
            })
        } else {
            Err(wrong("the scheme is missing or not known"))
        }
    }
}

impl fmt::Display for CoordinatorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { .. } => write!(f, "http://{}", self.authority()),
            Self::Https { .. } => write!(f, "https://{}", self.authority()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_printed_alike() {
        for text in [
            "http://127.0.0.1:8080",
            "https://farm.example.org:8443",
            "http://[::1]:80",
            "unix:/run/grange/admin.sock",
        ] {
            assert_eq!(text.parse::<CoordinatorUrl>().unwrap().to_string(), text);
        }
        let url: CoordinatorUrl = "https://farm.example.org/".parse().unwrap();
        assert_eq!(
            url,
            CoordinatorUrl::Https {
                host: "farm.example.org".into(),
                port: 443
            }
        );
        let url: CoordinatorUrl = "http://[::1]".parse().unwrap();
        assert_eq!(
            url,
            CoordinatorUrl::Http {
                host: "::1".into(),
                port: 80
            }
        );
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (text, what) in [
            ("", "cannot be read"),
            ("unix:", "path is missing"),
            ("/run/x", "host is missing"),
            ("localhost:80", "scheme"),
            ("ftp://host", "scheme"),
            ("http://host/farm", "path"),
            ("http://host?x=1", "path"),
            ("http://host:99999", "port"),
            ("http://host:0", "port"),
            ("http://a b", "cannot be read"),
            ("http://8503950[::31]", "IPv6"),
            ("http://[::g]:80", "IPv6"),
            ("http://[::1]x", "port"),
        ] {
            let error = text.parse::<CoordinatorUrl>().unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let error = "http://agent:secret@host:1"
            .parse::<CoordinatorUrl>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("credentials") && !error.contains("secret"),
            "{error}"
        );
    }
}
