//! Nars that come, and those that do not.

use std::time::Duration;

use grange_derivation::Dialect;
use grange_interfaces::UpstreamError;
use grange_signatures::narinfo::Compression;
use grange_upstream::SubstituteServers;

use crate::fake::{Fake, Reply};
use crate::item::{Item, client, config, fetch, find, gzip, xz};

#[tokio::test]
async fn each_compression_and_the_best_of_several() {
    let item = Item::guix("a");
    let zstd = zstd::encode_all(&item.nar[..], 3).unwrap();
    let one = |compression: Compression, file: Vec<u8>| {
        (vec![("nar/x", compression)], vec![("/nar/x", file)])
    };
    let several = (
        vec![
            ("nar/none", Compression::None),
            ("nar/xz", Compression::Xz),
            ("nar/zstd", Compression::Zstd),
        ],
        vec![
            ("/nar/none", b"not".to_vec()),
            ("/nar/xz", b"asked".to_vec()),
            ("/nar/zstd", zstd.clone()),
        ],
    );
    let unknown_too = (
        vec![("nar/br", Compression::Brotli), ("nar/xz", Compression::Xz)],
        vec![("/nar/xz", xz(&item.nar))],
    );
    // One file is gone: then the next best.
    let one_is_gone = (
        vec![("nar/zstd", Compression::Zstd), ("nar/xz", Compression::Xz)],
        vec![("/nar/xz", xz(&item.nar))],
    );
    for (sources, nars) in [
        one(Compression::None, item.nar.to_vec()),
        one(Compression::Gzip, gzip(&item.nar)),
        one(Compression::Xz, xz(&item.nar)),
        one(Compression::Zstd, zstd.clone()),
        several,
        unknown_too,
        one_is_gone,
    ] {
        let mut files = item.files();
        files[1].1 = Reply::Is(item.narinfo(&sources).into());
        files.truncate(2);
        files.extend(
            nars.into_iter()
                .map(|(path, file)| (path.to_owned(), Reply::Is(file.into()))),
        );
        let server = Fake::of_files(files).await;
        let client = client(&[&server]);
        let made = fetch(&client, &item.info()).await;
        assert!(
            made.as_ref() == Ok(&item.nar),
            "{sources:?}: {:?}",
            made.map(|nar| nar.len())
        );
    }
}

/// What a lie is answered with: at once, and when it is asked for again though nobody else has it.
async fn lie(item: &Item, reply: Reply) -> (UpstreamError, UpstreamError) {
    let bad = Fake::of_files(item.files_with(reply)).await;
    let good = Fake::of_files(item.files()).await;
    let both = client(&[&bad, &good]);
    let error = fetch(&both, &item.info()).await.unwrap_err();
    assert_eq!(
        fetch(&both, &item.info()).await.as_ref(),
        Ok(&item.nar),
        "the second server takes over"
    );
    assert_eq!((bad.asked("/nar/x"), good.asked("/nar/x")), (1, 1));

    let alone = client(&[&bad]);
    assert_eq!(fetch(&alone, &item.info()).await.as_ref(), Err(&error));
    let again = fetch(&alone, &item.info()).await.unwrap_err();
    assert_eq!(bad.asked("/nar/x"), 2, "a liar is not asked again");
    assert_eq!(find(&alone, item.path()).await, Ok(None));
    (error, again)
}

#[tokio::test]
async fn lies() {
    let item = Item::guix("a");
    let mut other = item.nar.to_vec();
    *other.last_mut().unwrap() ^= 1;
    let longer = [&item.nar[..], b"x"].concat();
    for (reply, says) in [
        (Reply::Is(other.into()), "SHA-256"),
        (
            Reply::Is(item.nar[1..].to_vec().into()),
            "299999 bytes, not 300000",
        ),
        (Reply::Is(longer.into()), "more than 300000 bytes"),
        (Reply::Is("".into()), "0 bytes"),
        (
            Reply::Endless("z".repeat(1007).into()),
            "more than 300000 bytes",
        ),
    ] {
        let (error, again) = lie(&item, reply).await;
        assert!(matches!(error, UpstreamError::Lied { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(again, error, "who asks later is told why");
    }
}

#[tokio::test]
async fn endless_files_that_become_nothing() {
    let item = Item::guix("a");
    let mut files = item.files();
    files[1].1 = Reply::Is(item.narinfo(&[("nar/x", Compression::Gzip)]).into());
    files[2].1 = Reply::Endless(gzip(b"").repeat(50).into());
    let server = Fake::of_files(files).await;
    let error = fetch(&client(&[&server]), &item.info()).await.unwrap_err();
    assert!(
        error.to_string().contains("more than that compressed"),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_decompressed() {
    let item = Item::guix("a");
    for compression in [
        Compression::Gzip,
        Compression::Lzip,
        Compression::Xz,
        Compression::Zstd,
    ] {
        let mut files = item.files();
        files[1].1 = Reply::Is(item.narinfo(&[("nar/x", compression.clone())]).into());
        let server = Fake::of_files(files).await;
        let error = fetch(&client(&[&server]), &item.info()).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Lied { .. }),
            "{compression}: {error}"
        );
        assert!(
            error.to_string().contains("cannot be decompressed"),
            "{compression}: {error}"
        );
    }
}

#[tokio::test]
async fn stalls_and_connections_that_end() {
    let item = Item::guix("a");
    let half = item.nar[..150_000].to_vec();
    for (reply, says) in [
        (Reply::Stalls(half.clone().into()), "stalls"),
        (Reply::Stalls("".into()), "stalls"),
        (Reply::Breaks(half.into()), "broke off"),
    ] {
        let bad = Fake::of_files(item.files_with(reply)).await;
        let good = Fake::of_files(item.files()).await;
        let mut config = config(&[&bad, &good]);
        config.stall_time = Duration::from_millis(300);
        let both = SubstituteServers::new(&config).unwrap();
        let error = fetch(&both, &item.info()).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Unavailable { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(
            fetch(&both, &item.info()).await.as_ref(),
            Ok(&item.nar),
            "the second server takes over"
        );

        config.servers.truncate(1);
        let alone = SubstituteServers::new(&config).unwrap();
        for _ in 0..2 {
            fetch(&alone, &item.info()).await.unwrap_err();
        }
        let tried = bad.asked("/nar/x");
        assert_eq!(tried, 3, "it is tried again if nobody else has it");
        // Enough: who has asked in vain twice had better build it.
        let error = fetch(&alone, &item.info()).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Unavailable { .. }),
            "{error}"
        );
        assert_eq!(bad.asked("/nar/x"), 3);
        assert_eq!(find(&alone, item.path()).await, Ok(None));
    }
}

#[tokio::test]
async fn what_one_file_lacks_another_has() {
    let item = Item::guix("a");
    let mut files = item.files();
    let sources = [
        ("nar/zstd", Compression::Zstd),
        ("nar/gzip", Compression::Gzip),
        ("nar/xz", Compression::Xz),
    ];
    files[1].1 = Reply::Is(item.narinfo(&sources).into());
    files.push(("/nar/zstd".to_owned(), Reply::Breaks("".into())));
    files.push(("/nar/gzip".to_owned(), Reply::Breaks("".into())));
    files.push(("/nar/xz".to_owned(), Reply::Is(xz(&item.nar).into())));
    let server = Fake::of_files(files).await;
    let client = client(&[&server]);
    for _ in 0..2 {
        fetch(&client, &item.info()).await.unwrap_err();
    }
    assert_eq!(fetch(&client, &item.info()).await.as_ref(), Ok(&item.nar));
}

#[tokio::test]
async fn a_body_without_a_length_that_is_cut() {
    // As `guix publish` sends them: an end of the connection is an end of the nar, or not.
    let item = Item::guix("a");
    let server =
        Fake::of_files(item.files_with(Reply::Unframed(item.nar[..1000].to_vec().into()))).await;
    let error = fetch(&client(&[&server]), &item.info()).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Unavailable { .. }),
        "{error}"
    );
    let server = Fake::of_files(item.files_with(Reply::Unframed(item.nar.to_vec().into()))).await;
    assert_eq!(
        fetch(&client(&[&server]), &item.info()).await.as_ref(),
        Ok(&item.nar)
    );
}

#[tokio::test]
async fn redirects() {
    let item = Item::guix("a");
    let nar = Reply::Is(item.nar.to_vec().into());
    let target = Fake::of_files(vec![("/nar/y".into(), nar.clone())]).await;
    for (location, says) in [
        ("y".to_owned(), None),
        ("/nar/y".to_owned(), None),
        ("x".to_owned(), Some("more than 5 redirects")),
        ("file:///etc/passwd".to_owned(), Some("is no URL")),
        (
            "ftp://127.0.0.1/x".to_owned(),
            Some("neither http nor https"),
        ),
        (
            target.text("/nar/y"),
            Some("neither the same server nor https"),
        ),
        ("https://127.0.0.1:1/".to_owned(), Some("no CAs were read")),
    ] {
        let mut files = item.files_with(Reply::To(location.clone()));
        files.push(("/nar/y".to_owned(), nar.clone()));
        let server = Fake::of_files(files).await;
        let made = fetch(&client(&[&server]), &item.info()).await;
        match says {
            None => assert_eq!(made.as_ref(), Ok(&item.nar), "{location}"),
            Some(says) => {
                let error = made.unwrap_err();
                assert!(error.to_string().contains(says), "{location}: {error}");
            }
        }
    }
    assert_eq!(target.asked("/nar/y"), 0);
    let server = Fake::of_files(item.files_with(Reply::Status(302))).await;
    let error = fetch(&client(&[&server]), &item.info()).await.unwrap_err();
    assert!(
        error.to_string().contains("redirects to nowhere"),
        "{error}"
    );
}

#[tokio::test]
async fn an_encoding_that_was_not_asked_for() {
    let item = Item::guix("a");
    let reply = Reply::With("content-encoding", "gzip", gzip(&item.nar).into());
    let server = Fake::of_files(item.files_with(reply)).await;
    let error = fetch(&client(&[&server]), &item.info()).await.unwrap_err();
    assert!(error.to_string().contains("encoding"), "{error}");
}

#[tokio::test]
async fn what_is_gone_is_gone_and_what_was_moved_is_found() {
    let item = Item::new(Dialect::Nix, "a", 1000);
    let mut files = item.files();
    files.pop();
    let server = Fake::of_files(files).await;
    let client_of_one = client(&[&server]);
    assert_eq!(
        find(&client_of_one, item.path()).await,
        Ok(Some(item.info()))
    );
    assert_eq!(
        fetch(&client_of_one, &item.info()).await,
        Err(UpstreamError::Gone(item.path().clone()))
    );

    // Its narinfo names another file by now.
    let (old, new) = (
        item.narinfo(&[("nar/x", Compression::None)]),
        item.narinfo(&[("nar/y", Compression::None)]),
    );
    let (at, nar) = (item.at(), item.nar.to_vec());
    let server = Fake::start(move |path, times| match path {
        "/nix-cache-info" => Reply::Is(crate::item::cache_info(Dialect::Nix)),
        "/nar/y" => Reply::Is(nar.clone().into()),
        _ if path == at => Reply::Is(if times == 0 { old.clone() } else { new.clone() }.into()),
        _ => Reply::Status(404),
    })
    .await;
    let client = client(&[&server]);
    assert_eq!(find(&client, item.path()).await, Ok(Some(item.info())));
    assert_eq!(fetch(&client, &item.info()).await.as_ref(), Ok(&item.nar));
}

#[tokio::test]
async fn another_item_of_the_same_name_is_not_it() {
    let item = Item::guix("a");
    let server = Fake::of_files(item.files()).await;
    let mut wanted = item.info();
    wanted.nar_hash.0[0] ^= 1;
    assert_eq!(
        fetch(&client(&[&server]), &wanted).await,
        Err(UpstreamError::Gone(item.path().clone()))
    );
    assert_eq!(server.asked("/nar/x"), 0);
}
