//! Servers that do not answer.

use std::time::Duration;

use grange_derivation::Dialect;
use grange_interfaces::{Upstream, UpstreamError};
use grange_upstream::SubstituteServers;

use crate::fake::{Fake, Reply};
use crate::item::{Item, cache_info, client, config, fetch, find};

#[tokio::test]
async fn a_server_that_does_not_answer_is_left_alone() {
    let items: Vec<Item> = ('a'..='t')
        .map(|name| Item::new(Dialect::Guix, &name.to_string(), 100))
        .collect();
    let paths: Vec<_> = items.iter().map(|item| item.path().clone()).collect();
    for reply in [
        Reply::Silence,
        Reply::Status(500),
        Reply::Status(429),
        Reply::Breaks("Store".into()),
    ] {
        let bad = Fake::start(move |path, _| match path {
            "/nix-cache-info" => Reply::Is(cache_info(Dialect::Guix)),
            _ => reply.clone(),
        })
        .await;
        let good = Fake::of_files(items.iter().flat_map(Item::files).collect()).await;
        let mut config = config(&[&bad, &good]);
        config.answer_time = Duration::from_millis(300);
        config.back_off = Duration::from_secs(1000);
        config.back_off_most = Duration::from_secs(1000);
        config.requests = 4;
        let both = SubstituteServers::new(&config).unwrap();
        let expected: Vec<_> = items.iter().map(|item| Ok(Some(item.info()))).collect();
        assert_eq!(both.find(&paths).await, expected);
        let asked = |item: &Item| bad.asked(&item.at());
        let in_all: usize = items.iter().map(asked).sum();
        assert!(
            in_all <= 2 * 4,
            "{in_all}: those that wait for others do not ask"
        );
        assert_eq!(both.find(&paths).await, expected);
        assert_eq!(items.iter().map(asked).sum::<usize>(), in_all);

        config.servers.truncate(1);
        let alone = SubstituteServers::new(&config).unwrap();
        for error in alone.find(&paths).await {
            assert!(
                matches!(error, Err(UpstreamError::Unavailable { .. })),
                "{error:?}"
            );
        }
        let error = alone.nar(&items[0].info()).await.err().unwrap();
        assert!(error.to_string().contains("left alone for"), "{error}");
    }
}

#[tokio::test]
async fn after_a_while_it_is_asked_again() {
    let item = Item::guix("a");
    let (at, files) = (item.at(), item.files());
    let server =
        Fake::start(
            move |path, times| match files.iter().find(|(file, _)| file == path) {
                Some(_) if path == at && times == 0 => Reply::Status(503),
                Some((_, reply)) => reply.clone(),
                None => Reply::Status(404),
            },
        )
        .await;
    let client = client(&[&server]);
    let error = find(&client, item.path()).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(find(&client, item.path()).await, Ok(Some(item.info())));
}

#[tokio::test]
async fn nobody_listens() {
    let item = Item::guix("a");
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let good = Fake::of_files(item.files()).await;
    let mut config = config(&[&good]);
    config
        .servers
        .insert(0, format!("http://127.0.0.1:{port}").parse().unwrap());
    let client = SubstituteServers::new(&config).unwrap();
    assert_eq!(find(&client, item.path()).await, Ok(Some(item.info())));
    assert_eq!(fetch(&client, &item.info()).await.unwrap(), item.nar);

    config.servers.truncate(1);
    let alone = SubstituteServers::new(&config).unwrap();
    let error = find(&alone, item.path()).await.unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert!(matches!(
        alone.nar(&item.info()).await.err(),
        Some(UpstreamError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn a_search_has_an_end() {
    let item = Item::guix("a");
    let server = Fake::start(|_, _| Reply::Silence).await;
    let mut config = config(&[&server]);
    config.find_time = Duration::from_millis(100);
    let client = SubstituteServers::new(&config).unwrap();
    let error = find(&client, item.path()).await.unwrap_err();
    assert!(
        error.to_string().contains("not all found within"),
        "{error}"
    );
}

#[tokio::test]
async fn who_holds_up_a_search_is_named() {
    let items: Vec<Item> = ('a'..='e')
        .map(|name| Item::new(Dialect::Guix, &name.to_string(), 100))
        .collect();
    let paths: Vec<_> = items.iter().map(|item| item.path().clone()).collect();
    let quick = Fake::of_files(vec![]).await;
    let slow = Fake::start(|_, _| Reply::Silence).await;
    let mut config = config(&[&quick, &slow]);
    config.find_time = Duration::from_secs(1);
    // So that the last ones have to wait for the first ones.
    config.requests = 1;
    let client = SubstituteServers::new(&config).unwrap();
    for error in client.find(&paths).await {
        let Err(UpstreamError::Unavailable { server, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(server, slow.url().to_string());
    }
}

#[tokio::test]
async fn what_refuses_one_request_is_asked_others() {
    let [one, two] = ["a", "b"].map(Item::guix);
    let mut files = two.files();
    files.push((one.at(), Reply::Status(400)));
    let server = Fake::of_files(files).await;
    let mut config = config(&[&server]);
    config.back_off = Duration::from_secs(1000);
    let client = SubstituteServers::new(&config).unwrap();
    let error = find(&client, one.path()).await.unwrap_err();
    assert!(error.to_string().contains("400"), "{error}");
    assert_eq!(find(&client, two.path()).await, Ok(Some(two.info())));
}
