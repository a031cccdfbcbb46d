//! TLS, with certificates made for the test.

use std::time::Duration;

use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, Refusal};
use grange_transport_http::{
    BindError, ClientConfig, ConnectError, HttpEndpoint, HttpVersion, Pem, Server, ServerConfig,
    Tls, TlsError,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::fake::Fake;
use crate::raw::talk;
use crate::support::{Running, ask, client, server_config};

/// A CA of its own.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        Self::named("our CA")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Pem {
        text(self.0.pem())
    }

    fn signs(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Tls {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let cert = params.signed_by(&key, &self.0).unwrap();
        Tls {
            cert: text(cert.pem()),
            key: text(key.serialize_pem()),
        }
    }
}

fn text(pem: String) -> Pem {
    Pem::Text(pem.into_bytes())
}

async fn serve(tls: Tls) -> Running {
    Running::on_loopback(&Fake::new(), server_config(|config| config.tls = Some(tls))).await
}

fn https(server: &Running, ca: Pem, http: HttpVersion) -> HttpEndpoint {
    let mut config = ClientConfig::default();
    config.ca = ca;
    config.http = http;
    client(&format!("https://{}", server.authority()), config)
}

async fn refused(server: &Running, ca: Pem) -> Refusal {
    ask(&https(server, ca, HttpVersion::Auto), Message::Counts)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn whom_the_right_ca_signed_is_trusted() {
    let ca = Ca::new();
    let server = serve(ca.signs("127.0.0.1", |_| {})).await;
    for http in [HttpVersion::Auto, HttpVersion::Http1, HttpVersion::Http2] {
        let client = https(&server, ca.pem(), http);
        for _ in 0..3 {
            assert!(
                matches!(ask(&client, Message::Counts).await, Ok(Answer::Counts(_))),
                "{http:?}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_bundle_and_files_do_as_well() {
    let (ca, other) = (Ca::new(), Ca::new());
    let tls = ca.signs("127.0.0.1", |_| {});
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &Pem| {
        let Pem::Text(text) = pem else { unreachable!() };
        std::fs::write(folder.path().join(name), text).unwrap();
        Pem::File(folder.path().join(name))
    };
    let tls = Tls {
        cert: write("cert.pem", &tls.cert),
        key: write("key.pem", &tls.key),
    };
    let server = serve(tls).await;
    let bundle = text(format!("{}{}", other.0.pem(), ca.0.pem()));
    let bundle = write("bundle.pem", &bundle);
    ask(&https(&server, bundle, HttpVersion::Auto), Message::Counts)
        .await
        .unwrap();
    server.stop().await;
}

#[tokio::test]
async fn whom_another_ca_signed_is_not_trusted() {
    let server = serve(Ca::new().signs("127.0.0.1", |_| {})).await;
    for (name, part) in [
        ("their CA", "unknown CA"),
        ("our CA", "not signed by the CA of that name"),
    ] {
        let refusal = refused(&server, Ca::named(name).pem()).await;
        assert_eq!(refusal.fault, Fault::Operator);
        assert!(refusal.message.contains(part), "{refusal}");
    }
    server.stop().await;
}

#[tokio::test]
async fn another_name_is_not_trusted() {
    let ca = Ca::new();
    let server = serve(ca.signs("other.example.org", |_| {})).await;
    let refusal = refused(&server, ca.pem()).await;
    assert_eq!(refusal.fault, Fault::Operator);
    for part in ["another name", "127.0.0.1", "other.example.org"] {
        assert!(refusal.message.contains(part), "{refusal}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_not_trusted() {
    let ca = Ca::new();
    for (years, what) in [
        ((2001, 2002), "has expired"),
        ((3001, 3002), "not valid yet"),
    ] {
        let tls = ca.signs("127.0.0.1", |params| {
            params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
            params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        });
        let server = serve(tls).await;
        let refusal = refused(&server, ca.pem()).await;
        assert_eq!(refusal.fault, Fault::Operator);
        assert!(refusal.message.contains(what), "{refusal}");
        server.stop().await;
    }
}

#[tokio::test]
async fn tls_on_one_side_only_is_said() {
    let ca = Ca::new();
    let (server, _) = Running::plain().await;
    let refusal = refused(&server, ca.pem()).await;
    assert!(refusal.message.contains("does not speak TLS"), "{refusal}");
    server.stop().await;

    let server = serve(ca.signs("127.0.0.1", |_| {})).await;
    let refusal = ask(&server.client(HttpVersion::Auto), Message::Counts)
        .await
        .unwrap_err();
    assert_eq!(refusal.fault, Fault::Busy);
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut() {
    let tls = Ca::new().signs("127.0.0.1", |_| {});
    let config = server_config(|config| {
        config.tls = Some(tls);
        config.limits.header_time = Duration::from_millis(50);
    });
    let server = Running::on_loopback(&Fake::new(), config).await;
    assert_eq!(talk(&server.authority(), b"\x16\x03\x01").await, "");
    server.stop().await;
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_at_once() {
    let ca = Ca::new();
    let good = ca.signs("127.0.0.1", |_| {});
    let bind = |tls: Tls| async {
        let config = server_config(|config| config.tls = Some(tls));
        match Server::bind("127.0.0.1:0".parse().unwrap(), config)
            .await
            .unwrap_err()
        {
            BindError::Tls(error) => error,
            other => panic!("{other:?}"),
        }
    };
    let empty = || text(String::new());
    let error = bind(Tls {
        cert: empty(),
        ..good.clone()
    })
    .await;
    assert!(matches!(error, TlsError::NoCertificate(_)), "{error:?}");
    let error = bind(Tls {
        key: empty(),
        ..good.clone()
    })
    .await;
    assert!(matches!(error, TlsError::NoKey(_)), "{error:?}");
    let error = bind(Tls {
        key: ca.signs("127.0.0.1", |_| {}).key,
        ..good.clone()
    })
    .await;
    assert!(matches!(error, TlsError::Unusable(_)), "{error:?}");
    let missing = Pem::File("/nonexistent/cert.pem".into());
    let error = bind(Tls {
        cert: missing.clone(),
        ..good.clone()
    })
    .await;
    assert_eq!(error.to_string(), "cannot read /nonexistent/cert.pem");

    let mut config = ClientConfig::default();
    config.ca = missing;
    let error =
        HttpEndpoint::connect("https://127.0.0.1:1".parse().unwrap(), config.clone()).unwrap_err();
    assert!(
        matches!(error, ConnectError::Tls(TlsError::Read { .. })),
        "{error:?}"
    );
    HttpEndpoint::connect("http://127.0.0.1:1".parse().unwrap(), config).unwrap();

    let Pem::Text(key) = &good.key else {
        unreachable!()
    };
    let shown = format!(
        "{:?}",
        server_config(|config| config.tls = Some(good.clone()))
    );
    assert!(
        !shown.contains(std::str::from_utf8(key).unwrap().lines().nth(1).unwrap()),
        "{shown}"
    );
}

#[tokio::test]
async fn a_unix_socket_speaks_no_tls() {
    let config: ServerConfig =
        server_config(|config| config.tls = Some(Ca::new().signs("x", |_| {})));
    let error = Server::bind("unix:/nonexistent/s".parse().unwrap(), config)
        .await
        .unwrap_err();
    assert!(matches!(error, BindError::TlsOnUnix(_)), "{error:?}");
}
