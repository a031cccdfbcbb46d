//! What people do with curl.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::fake::Fake;
use crate::raw::refusal;
use crate::support::{Running, server_config};

const AGENT: &str = "11111111-2222-7333-8444-555555555555";

/// Runs curl; returns the response's body and its status.
async fn curl(arguments: &[&str]) -> (Vec<u8>, u16) {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--write-out",
            "%{stderr}%{http_code}",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let status = String::from_utf8(output.stderr).unwrap();
    (
        output.stdout,
        status
            .parse()
            .unwrap_or_else(|_| panic!("curl {arguments:?}: {status}")),
    )
}

async fn curl_is_there() -> bool {
    let there = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .await
        .is_ok();
    if !there {
        eprintln!("skipped: there is no curl");
    }
    there
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    format!("@{}", path.display())
}

#[tokio::test]
async fn curl_can_call_and_look() {
    if !curl_is_there().await {
        return;
    }
    let (server, _) = Running::plain().await;
    let call = format!("{}/v1/call", server.url());
    let who = format!("{{\"new-password\":{{\"agent\":\"{AGENT}\"}}}}");
    for http in ["--http1.1", "--http2-prior-knowledge"] {
        let (body, status) = curl(&[http, &server.url()]).await;
        assert_eq!(status, 200);
        assert!(
            String::from_utf8(body)
                .unwrap()
                .starts_with("grange: a coordinator of Grange.")
        );

        let (body, status) = curl(&[http, "--data", &who, &call]).await;
        assert_eq!(
            (&*body, status),
            (&b"{\"ok\":{\"password\":\"anonymous\"}}\n"[..], 200)
        );
        let user = format!("{AGENT}:secret");
        let (body, status) = curl(&[http, "--user", &user, "--data", &who, &call]).await;
        let expected = format!("{{\"ok\":{{\"password\":\"agent {AGENT} secret\"}}}}\n");
        assert_eq!((body, status), (expected.into_bytes(), 200));
        let (body, status) = curl(&[http, "--oauth2-bearer", "abc", "--data", &who, &call]).await;
        assert_eq!(
            (&*body, status),
            (&b"{\"ok\":{\"password\":\"token abc\"}}\n"[..], 200)
        );

        let (body, status) = curl(&[http, "--user", "nobody:x", "--data", &who, &call]).await;
        assert_eq!(status, 401);
        assert!(
            refusal(std::str::from_utf8(&body).unwrap())
                .message
                .contains("no agent's UUID")
        );
        for (bearer, expected) in [(false, 401), (true, 403)] {
            let forbidden = "{\"lacking\":{\"derivations\":[\"forbidden\"],\"items\":[]}}";
            let mut arguments = vec![http, "--data", forbidden, &call];
            arguments.extend(if bearer {
                &["--oauth2-bearer", "abc"][..]
            } else {
                &[]
            });
            assert_eq!(curl(&arguments).await.1, expected);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn curl_can_send_and_fetch_bodies() {
    if !curl_is_there().await {
        return;
    }
    let fake = Fake::new();
    let server = Running::on_loopback(
        &fake,
        server_config(|config| config.limits.log_bytes = 4_000_000),
    )
    .await;
    let call = format!("{}/v1/call", server.url());
    let folder = tempfile::tempdir().unwrap();
    let append = |length: usize| {
        let mut bytes = b"{\"append-log\":{\"attempt\":{\"term\":1,\"slot\":2,\"generation\":3},\"offset\":0}}\n".to_vec();
        bytes.resize(bytes.len() + length, 7);
        write(folder.path(), "append", &bytes)
    };
    let chunked = "transfer-encoding: chunked";
    for http in [
        &["--http1.1"][..],
        &["--http1.1", "--header", chunked],
        &["--http2-prior-knowledge"],
    ] {
        // curl asks with `Expect: 100-continue` before it sends as much as this.
        for length in [0, 1, 3_000_000] {
            let body = append(length);
            let (body, status) = curl(&[http, &["--data-binary", &body, &call]].concat()).await;
            assert_eq!(status, 200);
            assert_eq!(
                String::from_utf8(body).unwrap(),
                format!("{{\"ok\":{{\"offset\":{length}}}}}\n")
            );
        }
        let too_much = append(5_000_000);
        let (body, status) = curl(&[http, &["--data-binary", &too_much, &call]].concat()).await;
        assert_eq!(status, 413);
        assert_eq!(
            refusal(std::str::from_utf8(&body).unwrap()).message,
            "the body has more than 4000000 bytes"
        );
    }
    let fetch = "{\"fetch-item\":{\"path\":\"/gnu/store/x-300000\",\"offset\":0}}";
    let (body, status) = curl(&["--data", fetch, &call]).await;
    assert_eq!(status, 200);
    let line = body.iter().position(|&byte| byte == b'\n').unwrap();
    assert_eq!(body.len() - line - 1, 300_000);
    server.stop().await;
}

#[tokio::test]
async fn curl_can_use_a_unix_socket() {
    if !curl_is_there().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = format!("unix:{}", path.display()).parse().unwrap();
    let server = Running::start(
        address,
        &Fake::new(),
        server_config(|config| config.trusted = true),
    )
    .await;
    let who = format!("{{\"new-password\":{{\"agent\":\"{AGENT}\"}}}}");
    let path = path.display().to_string();
    let (body, status) = curl(&[
        "--unix-socket",
        &path,
        "--data",
        &who,
        "http://localhost/v1/call",
    ])
    .await;
    assert_eq!(
        (&*body, status),
        (&b"{\"ok\":{\"password\":\"local\"}}\n"[..], 200)
    );
    server.stop().await;
}
