//! Slow-loris: hundreds of connections on which a byte a second comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use grange_bins::connect::client_config;
use grange_interfaces::message::{Message, VERSIONS};
use grange_interfaces::{Endpoint, Peer};
use grange_transport_http::HttpEndpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::builds::Build;
use crate::farm::{Farm, Setup, can_build, free_address};
use crate::raw::page;

/// Connections of each kind.
const CONNECTIONS: usize = 400;
/// A header has 15 s, and a body 60 s beyond what its bytes earn it: see `Limits`.
const HEADERS: Duration = Duration::from_secs(15);
const BODIES: Duration = Duration::from_secs(61);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(15);

/// How slow connections begin, of two kinds, and how long each kind may be open.
#[derive(Clone, Copy)]
struct Kinds {
    names: [&'static str; 2],
    begin: [&'static str; 2],
    most: [Duration; 2],
}

/// To who answers calls.
const CALLS: Kinds = Kinds {
    names: ["slow headers", "slow bodies"],
    begin: [
        "POST /v1/call HTTP/1.1\r\nx: ",
        "POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n\"",
    ],
    most: [HEADERS, BODIES],
};

/// To who shows pages: what is answered without hyper, and what goes to it.
const PAGES: Kinds = Kinds {
    names: [
        "slow headers",
        "slow headers behind an answer and something odd",
    ],
    begin: [
        "GET /guix/nix-cache-info HTTP/1.1\r\nx: ",
        "GET /guix/nix-cache-info HTTP/1.1\r\nhost: x\r\n\r\nPOST /guix/nix-cache-info HTTP/1.1\r\nx: ",
    ],
    most: [HEADERS, HEADERS],
};

#[test]
fn who_sends_a_byte_a_second_is_closed_and_delays_nobody() {
    slow(CALLS, false);
}

#[test]
fn nor_does_who_fetches_so() {
    slow(PAGES, true);
}

fn slow(kinds: Kinds, pages: bool) {
    let (address, published) = (free_address(), free_address());
    let farm = Farm::new(Setup {
        listen: vec![address.to_string()],
        publish: vec![published.to_string()],
        ..Setup::default()
    });
    let url = format!("http://{address}");
    let agent = can_build().then(|| farm.agent(Vec::new(), "agent", &url, ""));
    let over = Arc::new(AtomicBool::new(false));
    let attack = {
        let over = Arc::clone(&over);
        let attacked = if pages { published } else { address };
        std::thread::spawn(move || {
            crate::farm::runtime().block_on(attack(&attacked.to_string(), kinds, &over))
        })
    };
    let honest = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let runtime = crate::farm::runtime();
            if pages {
                runtime.block_on(honest_fetches(published, &over))
            } else {
                runtime.block_on(honest(&url, &over))
            }
        })
    };
    let mut builds = Vec::new();
    while !over.load(Relaxed) {
        if agent.is_some() {
            let build = Build::new(
                &farm,
                &format!("small-{}", builds.len()),
                "echo > $out",
                &[],
            );
            let begun = Instant::now();
            build.run(&farm);
            builds.push(begun.elapsed());
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    let closed = attack.join().unwrap();
    let mut latencies = honest.join().unwrap();
    latencies.sort();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    for (name, after) in kinds.names.iter().zip(closed) {
        println!("{CONNECTIONS} {name}: closed after {after:?}");
    }
    println!(
        "{} honest requests on new connections meanwhile: median {:?}, 99 % below {:?}, at most {:?}",
        latencies.len(),
        at(50),
        at(99),
        at(100)
    );
    builds.sort();
    if let (Some(median), Some(worst)) = (builds.get(builds.len() / 2), builds.last()) {
        println!(
            "{} builds meanwhile: median {median:?}, at most {worst:?}",
            builds.len()
        );
    }
    for (most, after) in kinds.most.iter().zip(closed) {
        assert!(after < *most + SLACK, "{after:?}");
    }
    // They are served all the while; how many there can be is up to how long the slow ones may stay.
    let least = if pages { 30 } else { 100 };
    assert!(latencies.len() > least, "{}", latencies.len());
}

/// How long it took until the last connection of each kind was closed.
async fn attack(address: &str, kinds: Kinds, over: &AtomicBool) -> [Duration; 2] {
    let opened = Arc::new(AtomicUsize::new(0));
    let mut all = JoinSet::new();
    for (kind, begin) in kinds.begin.into_iter().enumerate() {
        for _ in 0..CONNECTIONS {
            let (address, opened) = (address.to_owned(), Arc::clone(&opened));
            all.spawn(async move {
                let begun = Instant::now();
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(begin.as_bytes()).await.unwrap();
                opened.fetch_add(1, Relaxed);
                let mut buffer = [0; 1000];
                for _ in 0..180 {
                    let closed = timeout(Duration::from_secs(1), async {
                        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                    });
                    if closed.await.is_ok() || stream.write_all(b"y").await.is_err() {
                        return (kind, begun.elapsed());
                    }
                }
                (kind, begun.elapsed())
            });
        }
    }
    let mut last = [Duration::ZERO; 2];
    while let Some(ended) = all.join_next().await {
        let (kind, after) = ended.unwrap();
        last[kind] = last[kind].max(after);
    }
    assert_eq!(opened.load(Relaxed), 2 * CONNECTIONS);
    over.store(true, Relaxed);
    last
}

/// How long each honest request took.
async fn honest(url: &str, over: &AtomicBool) -> Vec<Duration> {
    let mut config = client_config(None, "network test");
    config.idle_connections = 0;
    let endpoint = HttpEndpoint::connect(url.parse().unwrap(), config).unwrap();
    let mut latencies = Vec::new();
    while !over.load(Relaxed) && latencies.len() < 10_000 {
        let hello = Message::Hello {
            versions: VERSIONS,
            software: "network test".to_owned(),
        };
        let begun = Instant::now();
        endpoint.call(&Peer::Anonymous, hello, None).await.unwrap();
        latencies.push(begun.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    latencies
}

/// How long each honest fetch took.
async fn honest_fetches(published: SocketAddr, over: &AtomicBool) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while !over.load(Relaxed) && latencies.len() < 10_000 {
        let begun = Instant::now();
        page(published).await;
        latencies.push(begun.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    latencies
}
