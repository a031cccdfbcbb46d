//! What is found, and who is asked.

use grange_derivation::Dialect;
use grange_interfaces::{Upstream, UpstreamError};
use grange_signatures::narinfo::Compression;
use grange_upstream::{Config, ConfigError, SubstituteServers};

use crate::fake::{Fake, Reply};
use crate::item::{Item, cache_info, client, config, fetch, find, trusted};

#[tokio::test]
async fn what_is_signed_is_found_in_the_order_asked() {
    for dialect in [Dialect::Guix, Dialect::Nix] {
        let items = ["a", "b", "c", "d"].map(|name| Item::new(dialect, name, 1000));
        let files = items
            .iter()
            .flat_map(Item::files)
            .filter(|(path, _)| *path != items[2].at());
        let server = Fake::of_files(files.collect()).await;
        let client = client(&[&server]);
        let paths: Vec<_> = items.iter().rev().map(|item| item.path().clone()).collect();
        let found = client.find(&paths).await;
        let expected = [&items[3], &items[2], &items[1], &items[0]].map(|item| {
            let there = item.path() != items[2].path();
            Ok(there.then(|| item.info()))
        });
        assert_eq!(found, expected);
        assert_eq!(server.asked("/nix-cache-info"), 1);
        assert!(client.find(&[]).await.is_empty());
    }
}

#[tokio::test]
async fn the_first_server_that_has_it_is_taken() {
    let item = Item::guix("a");
    let none = Fake::of_files(vec![(
        "/nix-cache-info".into(),
        Reply::Is(cache_info(Dialect::Guix)),
    )])
    .await;
    let forbids = Fake::start(|path, _| match path {
        "/nix-cache-info" => Reply::Status(404),
        _ => Reply::Status(403),
    })
    .await;
    let one = Fake::of_files(item.files()).await;
    let two = Fake::of_files(item.files()).await;
    let client = client(&[&none, &forbids, &one, &two]);
    assert_eq!(find(&client, item.path()).await, Ok(Some(item.info())));
    assert_eq!(fetch(&client, &item.info()).await.unwrap(), item.nar);
    assert!(none.asked(&item.at()) > 0 && forbids.asked(&item.at()) > 0);
    assert_eq!((one.asked(&item.at()), two.asked(&item.at())), (1, 0));
}

#[tokio::test]
async fn first_it_is_not_there_then_it_is() {
    let item = Item::guix("a");
    let narinfo = item.narinfo(&[("nar/x", Compression::None)]);
    let at = item.at();
    let script = move |path: &str, times| match path {
        "/nix-cache-info" => Reply::Is(cache_info(Dialect::Guix)),
        _ if path == at && times > 0 => Reply::Is(narinfo.clone().into()),
        _ => Reply::Status(404),
    };
    let server = Fake::start(script.clone()).await;
    let forgetful = client(&[&server]);
    assert_eq!(find(&forgetful, item.path()).await, Ok(None));
    assert_eq!(find(&forgetful, item.path()).await, Ok(Some(item.info())));
    assert_eq!(find(&forgetful, item.path()).await, Ok(Some(item.info())));
    assert_eq!(server.asked(&item.at()), 2, "what is there is remembered");

    let server = Fake::start(script).await;
    let mut config = config(&[&server]);
    config.missing_time = Config::new(Vec::new(), trusted()).missing_time;
    let client = SubstituteServers::new(&config).unwrap();
    assert_eq!(find(&client, item.path()).await, Ok(None));
    assert_eq!(find(&client, item.path()).await, Ok(None));
    assert_eq!(
        server.asked(&item.at()),
        1,
        "that it is not there is remembered for a while"
    );
}

#[tokio::test]
async fn a_server_of_another_store_is_not_asked() {
    let item = Item::guix("a");
    let mut files = item.files();
    files[0].1 = Reply::Is(cache_info(Dialect::Nix));
    let server = Fake::of_files(files).await;
    assert_eq!(find(&client(&[&server]), item.path()).await, Ok(None));
    assert_eq!(
        (server.asked("/nix-cache-info"), server.asked(&item.at())),
        (1, 0)
    );
}

#[tokio::test]
async fn only_servers_of_guix_may_have_no_cache_info() {
    for (dialect, asked) in [(Dialect::Guix, 1), (Dialect::Nix, 0)] {
        let item = Item::new(dialect, "a", 100);
        let server = Fake::of_files(item.files().split_off(1)).await;
        let found = find(&client(&[&server]), item.path()).await.unwrap();
        assert_eq!(
            (found.is_some(), server.asked(&item.at())),
            (asked == 1, asked)
        );
    }
}

#[tokio::test]
async fn a_cache_info_that_is_none_is_an_excuse() {
    let item = Item::guix("a");
    for (text, says) in [
        ("hello", "no StoreDir"),
        (
            "StoreDir: /gnu/store\nStoreDir: /nix/store\n",
            "two StoreDirs",
        ),
        ("StoreDir: gnu\n", "StoreDir"),
        ("\u{0}", "no StoreDir"),
    ] {
        let mut files = item.files();
        files[0].1 = Reply::Is(text.into());
        let server = Fake::of_files(files).await;
        let error = find(&client(&[&server]), item.path()).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Unavailable { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn nobody_to_ask_and_nobody_to_trust() {
    let item = Item::guix("a");
    let nobody = client(&[]);
    assert_eq!(find(&nobody, item.path()).await, Ok(None));
    assert_eq!(
        nobody.nar(&item.info()).await.err(),
        Some(UpstreamError::Gone(item.path().clone()))
    );

    let url = "http://127.0.0.1:1".parse().unwrap();
    let error = SubstituteServers::new(&Config::new(vec![url], Default::default()));
    assert!(matches!(error, Err(ConfigError::NoKeys)));
}
