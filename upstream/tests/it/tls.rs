//! https.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use grange_upstream::{ConfigError, SubstituteServers};

use crate::fake::{Fake, Reply};
use crate::item::{Item, config, fetch, find};

#[tokio::test]
async fn over_tls_and_http2_and_whom_to_trust() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

    let item = Item::guix("a");
    let files = item.files();
    let server = Fake::start_tls(TlsAcceptor::from(Arc::new(tls)), move |path, _| {
        let found = files.iter().find(|(file, _)| file == path);
        found.map_or(Reply::Status(404), |(_, reply)| reply.clone())
    })
    .await;
    // A server over plain HTTP may send us there, as to any https.
    let plain = Fake::of_files(item.files_with(Reply::To(server.text("/nar/x")))).await;
    let mut config = config(&[&server]);
    config.ca.clone_from(&ca);
    let client = SubstituteServers::new(&config).unwrap();
    assert_eq!(find(&client, item.path()).await, Ok(Some(item.info())));
    assert_eq!(fetch(&client, &item.info()).await.unwrap(), item.nar);
    assert_eq!((server.asked("HTTP/2.0"), server.asked("HTTP/1.1")), (3, 0));
    config.servers.insert(0, plain.url());
    let client = SubstituteServers::new(&config).unwrap();
    assert_eq!(fetch(&client, &item.info()).await.unwrap(), item.nar);
    assert_eq!(plain.asked("/nar/x"), 1);

    // Another CA.
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&ca, other.cert.pem()).unwrap();
    config.servers.remove(0);
    let client = SubstituteServers::new(&config).unwrap();
    let error = find(&client, item.path()).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    std::fs::write(&ca, "nothing").unwrap();
    assert!(matches!(
        SubstituteServers::new(&config),
        Err(ConfigError::NoCa(_))
    ));
    std::fs::remove_file(&ca).unwrap();
    assert!(matches!(
        SubstituteServers::new(&config),
        Err(ConfigError::Ca { .. })
    ));
    // Without https nobody reads it.
    config.servers = vec![plain.url()];
    assert!(SubstituteServers::new(&config).is_ok());
}
