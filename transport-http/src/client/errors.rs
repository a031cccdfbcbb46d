//! What went wrong on the way, and whose turn it is.

use std::error::Error;
use std::io;
use std::time::Duration;

use grange_interfaces::{Fault, Refusal};
use rustls::CertificateError;

/// When to try a server again that was not reached.
const RETRY: Duration = Duration::from_secs(1);

/// An error and its causes, on a line, each said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let level = error.to_string();
        if text.ends_with(&level) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&level);
    }
    text
}

/// The server was not reached.
pub(super) fn unreachable(name: &str, why: &str) -> Refusal {
    Refusal::busy(format!("cannot reach {name}: {why}"), RETRY)
}

/// The connection broke, or nothing came.
pub(super) fn broken(name: &str, why: &str) -> Refusal {
    Refusal::busy(format!("the connection to {name} broke: {why}"), RETRY)
}

/// A TLS handshake failed. What no second try mends is the operator's turn.
pub(super) fn tls(name: &str, host: &str, trusted: &str, error: &io::Error) -> Refusal {
    let Some(reason) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return unreachable(
            name,
            &format!("the TLS handshake broke off: {}", chain(error)),
        );
    };
    let why = match reason {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::BadSignature => {
                format!(
                    "its certificate was not signed by the CA of that name among those of {trusted}"
                )
            }
            CertificateError::UnknownIssuer => {
                format!(
                    "its certificate comes from an unknown CA, which is not among those of {trusted}"
                )
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "its certificate is for another name than {host:?}: {}",
                    wrong
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("its certificate has expired: {}", wrong)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!(
                    "its certificate is not valid yet (is the clock right?): {}",
                    wrong
                )
            }
            other => format!("its certificate is not accepted: {}", other),
        },
        rustls::Error::InvalidMessage(_) => {
            format!("it does not speak TLS (is it http://?): {}", chain(reason))
        }
        other => format!("the TLS handshake failed: {}", chain(other)),
    };
    Refusal::new(Fault::Operator, format!("cannot trust {name}: {why}"))
}
