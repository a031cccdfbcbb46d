//! What stock clients fetch, asked for as they ask: HTTP/1.1 over TCP.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use grange_derivation::{Dialect, StoreDir, nar};
use grange_signatures::narinfo::Narinfo;
use grange_signatures::{TrustedKeys, guix};

use crate::farm::{Store, can_build, start_agent};
use crate::process::{Coordinator, grange};

/// Head and body of an answer.
fn ask(address: &str, method: &str, path: &str, more: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: farm\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head, answer[end + 4..].to_vec())
}

#[test]
fn what_was_built_is_published_signed_and_verified() {
    if !can_build() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.sec");
    let made = grange(&["key", "generate", key.to_str().unwrap(), "--json"]).expect(0);
    assert_eq!(made.json()[0]["kind"], "guix");
    let publish = [
        "--publish",
        "127.0.0.1:0",
        "--guix-key",
        key.to_str().unwrap(),
    ];
    let coordinator = Coordinator::start(directory.path(), &publish);
    let agent = start_agent(&coordinator, directory.path());
    fs::create_dir(directory.path().join("drvs")).unwrap();
    let store = Store(directory.path().join("drvs"));
    let (library, _) = store.shell("library", "echo library > $out", &[]);
    let script = "echo said; echo $input0 > $out";
    let (program, file) = store.shell("program", script, &[&library]);
    coordinator.grange(&["build", "--wait", &file]).expect(0);

    let address = coordinator.published.as_deref().unwrap();
    let output = program.output("out").unwrap();
    let narinfo_path = format!("/guix/{}.narinfo", output.hash_part());
    let (head, body) = ask(address, "GET", &narinfo_path, "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let narinfo = Narinfo::parse(Dialect::Guix, &StoreDir::guix(), &body).unwrap();
    narinfo.about(output).unwrap();
    let mut trusted = TrustedKeys::new();
    let public = fs::read(directory.path().join("key.pub")).unwrap();
    trusted.add_guix(guix::PublicKey::parse(&public).unwrap());
    narinfo.verify(&trusted).unwrap();
    let library_out = library.output("out").unwrap();
    assert!(narinfo.facts().references.contains(library_out));

    let url = format!("/guix/{}", narinfo.sources()[0].url.relative().unwrap());
    let (head, compressed) = ask(address, "GET", &url, "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let plain = zstd::decode_all(&compressed[..]).unwrap();
    assert_eq!(plain.len() as u64, narinfo.facts().nar_size);
    let to = directory.path().join("fetched");
    nar::unpack(&mut &plain[..], &to).unwrap();
    assert_eq!(fs::read_to_string(&to).unwrap(), format!("{library_out}\n"));
    let (head, part) = ask(address, "GET", &url, "range: bytes=5-\r\n");
    assert!(head.starts_with("HTTP/1.1 206"), "{head}");
    assert_eq!(part, compressed[5..]);
    let (head, none) = ask(address, "HEAD", &url, "");
    let length = format!("content-length: {}", compressed.len());
    assert!(head.contains(&length) && none.is_empty(), "{head}");

    // For clients that read nothing else it is made as they ask for it.
    let url = url.replace("/zstd/", "/gzip/");
    let (head, chunks) = ask(address, "GET", &url, "");
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert!(chunks.windows(3).any(|it| it == [0x1f, 0x8b, 8]));

    let (_, log) = ask(
        address,
        "GET",
        &format!("/guix/log/{}", program.path.base_name()),
        "",
    );
    assert_eq!(log, b"said\n");
    for (method, path, status) in [
        ("POST", &*narinfo_path, "405"),
        ("GET", "/v1/call", "404"),
        ("GET", "/guix/../etc/passwd", "404"),
        ("GET", &format!("/{}", "x".repeat(3000)), "414"),
    ] {
        let (head, _) = ask(address, method, path, "");
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{path}: {head}"
        );
    }
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(coordinator.running.stop(), Some(0));
}
