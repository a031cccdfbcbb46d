//! Certificates.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// PEM: the text itself, or a file that has it. `Debug` does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// The text.
    Text(Vec<u8>),
    /// A file, which is read once.
    File(PathBuf),
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => std::fs::read(path).map_err(|error| TlsError::Read {
                path: path.clone(),
                error,
            }),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("the given PEM text"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A server's certificate and key. They are read once: a new certificate needs a new server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, then those that lead from it to its CA.
    pub cert: Pem,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: Pem,
}

/// Certificates or keys that cannot be used. It is the operator's turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// There is no certificate.
    #[error("{0} has no certificate")]
    NoCertificate(Pem),
    /// There is no private key.
    #[error("{0} has no private key")]
    NoKey(Pem),
    /// Something in it is not what PEM or DER demand.
    #[error("{pem}: {what}")]
    Damaged {
        /// Where.
        pem: Pem,
        /// What.
        what: String,
    },
    /// The key does not belong to the certificate, or both cannot be used.
    #[error("the certificate and the key cannot be used: {0}")]
    Unusable(String),
}

/// What a server accepts connections with.
pub(crate) fn server(tls: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let cert = certificates(&tls.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&tls.key.read()?).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => TlsError::NoKey(tls.key.clone()),
        other => TlsError::Damaged {
            pem: tls.key.clone(),
            what: other.to_string(),
        },
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of both versions")
        .with_no_client_auth()
        .with_single_cert(cert, key)
        .map_err(|error| TlsError::Unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What a client connects with: it trusts `ca`, and offers `alpn`.
pub(crate) fn client(ca: &Pem, alpn: Vec<Vec<u8>>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    // A bundle may have certificates that are too old to be understood: they are passed over.
    let (added, ignored) = roots.add_parsable_certificates(certificates(ca)?);
    if added == 0 {
        let what = format!("none of its {ignored} certificates can be used as a CA");
        return Err(TlsError::Damaged {
            pem: ca.clone(),
            what,
        });
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn;
    Ok(Arc::new(config))
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = pem.read()?;
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Damaged {
            pem: pem.clone(),
            what: error.to_string(),
        })?;
    if found.is_empty() {
        Err(TlsError::NoCertificate(pem.clone()))
    } else {
        Ok(found)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
