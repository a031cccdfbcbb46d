//! Nars for clients that do not read Zstandard.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use grange_derivation::{Dialect, StorePath};
use grange_interfaces::Site as _;
use grange_signatures::guix;
use grange_signatures::narinfo::Narinfo;
use grange_substitutes::Bakery;
use http::{Request, StatusCode};

use crate::farm::{Answer, Farm, get, nar, store};

fn path(name: &str, digest: u8) -> StorePath {
    StorePath::new(&store(), [digest; 20], name).unwrap()
}

fn key() -> guix::SecretKey {
    guix::SecretKey::generate(&[42; 32])
}

/// Asks until the nar lies there whole.
async fn baked(site: &grange_substitutes::Substitutes, url: &str) -> Answer {
    loop {
        let answer = get(site, url, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        if answer.headers.contains_key("etag") {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn a_nar_is_made_once_and_then_lies_there() {
    let mut farm = Farm::new();
    let program = path("program", 1);
    let contents: Vec<u8> = (0..700_000_u32).map(|it| (it / 7 % 251) as u8).collect();
    farm.file(&program, &contents, &[], None).await;
    let directory = tempfile::tempdir().unwrap();
    let bakery = Bakery::open(directory.path(), 1 << 30, 1).unwrap();
    let site = farm.site_with(&[], key(), Some(bakery)).await;
    let narinfo = get(
        &site,
        &format!("/guix/{}.narinfo", program.hash_part()),
        &[],
    )
    .await;
    let narinfo = Narinfo::parse(Dialect::Guix, &store(), &narinfo.body).unwrap();
    let offered: Vec<_> = narinfo
        .sources()
        .iter()
        .map(|it| it.compression.name().to_owned())
        .collect();
    assert_eq!(offered, ["zstd", "gzip", "lzip"]);
    assert!(narinfo.sources()[0].file_size.is_some() && narinfo.sources()[1].file_size.is_none());
    let url = format!("/guix/{}", narinfo.sources()[1].url.relative().unwrap());
    // Nobody has asked for its bytes yet, and this does not, either.
    let (head, ()) = Request::head(&url).body(()).unwrap().into_parts();
    assert_eq!(site.get(&head).await.status(), StatusCode::OK);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let first = get(&site, &url, &[]).await;
    assert!(!first.headers.contains_key("content-length"));
    assert_eq!(first.header("cache-control"), "no-cache");
    assert_eq!(gunzip(&first.body), nar(&contents));
    let again = baked(&site, &url).await;
    assert_eq!(again.body, first.body);
    let part = get(&site, &url, &[("range", "bytes=3-7")]).await;
    assert_eq!(
        (part.status, &part.body[..]),
        (StatusCode::PARTIAL_CONTENT, &first.body[3..8])
    );
    let same = get(&site, &url, &[("if-none-match", again.header("etag"))]).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);

    // Another process finds it, and says how large it is.
    let bakery = Bakery::open(directory.path(), 1 << 30, 1).unwrap();
    let site = farm.site_with(&[], key(), Some(bakery)).await;
    let narinfo = get(
        &site,
        &format!("/guix/{}.narinfo", program.hash_part()),
        &[],
    )
    .await;
    let narinfo = Narinfo::parse(Dialect::Guix, &store(), &narinfo.body).unwrap();
    assert_eq!(
        narinfo.sources()[1].file_size,
        Some(first.body.len() as u64)
    );
}

#[tokio::test]
async fn lzip_reads_what_is_made() {
    let mut farm = Farm::new();
    let program = path("program", 1);
    farm.file(&program, &[7; 300_000], &[], None).await;
    let directory = tempfile::tempdir().unwrap();
    let bakery = Bakery::open(directory.path(), 1 << 30, 1).unwrap();
    let site = farm.site_with(&[], key(), Some(bakery)).await;
    let url = format!("/guix/nar/lzip/{}", program.base_name());
    let answer = get(&site, &url, &[]).await;
    assert!(answer.body.starts_with(b"LZIP\x01"));
    let mut command = Command::new("lzip");
    command
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let Ok(mut lzip) = command.spawn() else {
        println!("skipped: lzip is not installed");
        return;
    };
    let mut stdin = lzip.stdin.take().unwrap();
    let body = answer.body.clone();
    let writing = std::thread::spawn(move || stdin.write_all(&body).unwrap());
    let output = lzip.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, nar(&[7; 300_000]));
}

#[tokio::test]
async fn what_is_not_offered_is_not_made() {
    let mut farm = Farm::new();
    let program = path("program", 1);
    farm.file(&program, b"program", &[], None).await;
    let site = farm.site(&[], key()).await;
    for compression in ["gzip", "lzip", "none", "br"] {
        let url = format!("/guix/nar/{compression}/{}", program.base_name());
        assert_eq!(
            get(&site, &url, &[]).await.status,
            StatusCode::NOT_FOUND,
            "{url}"
        );
    }
    let narinfo = get(
        &site,
        &format!("/guix/{}.narinfo", program.hash_part()),
        &[],
    )
    .await;
    assert_eq!(narinfo.text().matches("Compression: ").count(), 1);
}

#[tokio::test]
async fn a_damaged_nar_breaks_off_and_is_tried_again() {
    let mut farm = Farm::new();
    let program = path("program", 1);
    let record = farm.file(&program, b"program", &[], None).await;
    let damaged = farm.blob(b"no Zstandard").await;
    farm.replace(grange_model::ItemRecord {
        blob: damaged,
        blob_size: 12,
        ..record
    });
    let directory = tempfile::tempdir().unwrap();
    let bakery = Bakery::open(directory.path(), 1 << 30, 1).unwrap();
    let site = farm.site_with(&[], key(), Some(bakery)).await;
    let url = format!("/guix/nar/gzip/{}", program.base_name());
    let (head, ()) = Request::get(&url).body(()).unwrap().into_parts();
    for _ in 0..2 {
        let response = site.get(&head).await;
        let grange_interfaces::SiteBody::Stream(body) = response.into_body() else {
            panic!("it is not there")
        };
        assert!(grange_interfaces::bytes_of(body, 1000).await.is_err());
        while std::fs::read_dir(directory.path()).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
