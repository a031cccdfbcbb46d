//! Ports of the host that lead into a guest.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A TCP port of a loopback address of the host, and the guest's port that it leads to. No other address can be given: whoever
/// wants a guest reached from elsewhere puts in between what decides who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Forward {
    address: Ipv4Addr,
    /// The host's port.
    pub host: u16,
    /// The guest's.
    pub guest: u16,
}

/// That is no port to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseForwardError {
    /// It is none.
    #[error(
        "{0:?} is no forwarding such as 11022:22 or 127.0.0.1:11022:22 (host's port, guest's port)"
    )]
    Malformed(String),
    /// Others than this host would reach it.
    #[error(
        "{0}: only loopback addresses (127.0.0.1) lead into a guest, so that nobody else reaches it"
    )]
    Open(Ipv4Addr),
}

impl Forward {
    /// From a port of 127.0.0.1 to one of the guest.
    #[must_use]
    pub const fn new(host: u16, guest: u16) -> Self {
        let address = Ipv4Addr::LOCALHOST;
        Self {
            address,
            host,
            guest,
        }
    }

    /// The host's address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.address, self.host, self.guest)
    }
}

impl FromStr for Forward {
    type Err = ParseForwardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || ParseForwardError::Malformed(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (address, host, guest) = match *parts {
            [host, guest] => (Ipv4Addr::LOCALHOST, host, guest),
            [address, host, guest] => (address.parse().map_err(|_| malformed())?, host, guest),
            _ => return Err(malformed()),
        };
        if !address.is_loopback() {
            return Err(ParseForwardError::Open(address));
        }
        let port = |text: &str| match text.parse() {
            Ok(0) | Err(_) => Err(malformed()),
            Ok(port) => Ok(port),
        };
        let (host, guest) = (port(host)?, port(guest)?);
        Ok(Self {
            address,
            host,
            guest,
        })
    }
}

impl TryFrom<String> for Forward {
    type Error = ParseForwardError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Forward> for String {
    fn from(forward: Forward) -> Self {
        forward.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwardings_are_of_loopback_addresses_alone() {
        let forward: Forward = "11022:22".parse().unwrap();
        assert_eq!(forward, Forward::new(11022, 22));
        assert_eq!(forward, "127.0.0.1:11022:22".parse().unwrap());
        assert_eq!(forward.to_string().parse(), Ok(forward));
        assert_eq!(
            "127.1.2.3:1:2".parse::<Forward>().unwrap().to_string(),
            "127.1.2.3:1:2"
        );
        let error = |text: &str| text.parse::<Forward>().unwrap_err();
        assert_eq!(
            error("0.0.0.0:11022:22"),
            ParseForwardError::Open(Ipv4Addr::UNSPECIFIED)
        );
        for bad in [
            "",
            "22",
            "0:22",
            "1:70000",
            "::1:22",
            "localhost:1:22",
            "1:2:3:4",
            ":1:2",
            "tcp::1-:2",
        ] {
            assert_eq!(error(bad), ParseForwardError::Malformed(bad.into()));
        }
    }
}
