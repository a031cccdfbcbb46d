//! Ten thousand connections on which nothing is said any more.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use grange_bins::connect::client_config;
use grange_interfaces::message::{Message, VERSIONS};
use grange_interfaces::{Endpoint, Peer};
use grange_transport_http::HttpEndpoint;

use crate::builds::Build;
use crate::farm::{Farm, Setup, alone, can_build, free_address, runtime, wait_until};
use crate::process::program;
use crate::raw::page;

/// Each of three addresses takes 4,096 connections: see `Limits`.
const ADDRESSES: usize = 3;
const PLACES: usize = 4096;
const CONNECTIONS: usize = 10_000;
/// How often they come again.
const ROUNDS: usize = 4;
/// More than there are places at one address.
const TOO_MANY: usize = 5_000;
/// Files that each side may have open: the places of all addresses, that of operators included, and some more.
const FILES: u64 = 18_000;

/// Tells the client, which is this program once more, where to connect, and how often.
const CLIENT: &str = "GRANGE_TEST_IDLE_CLIENT";

/// Whose connections they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Of those who call.
    Callers,
    /// Of those who fetch what is published.
    Fetchers,
}

impl Whose {
    /// What there is to be asked for.
    const fn path(self) -> &'static str {
        match self {
            Self::Callers => "/",
            Self::Fetchers => "/guix/nix-cache-info",
        }
    }

    /// An honest request on a connection of its own.
    fn hello(self, address: SocketAddr) {
        match self {
            Self::Callers => hello(address),
            Self::Fetchers => runtime().block_on(page(address)),
        }
    }
}

#[test]
fn idle_connections_are_cheap_and_keep_nobody_out() {
    idle(Whose::Callers);
}

#[test]
fn those_of_fetchers_are_so_too() {
    idle(Whose::Fetchers);
}

fn idle(whose: Whose) {
    let _alone = alone();
    // The soft limit is what a shell or a service manager says; the coordinator raises it itself.
    let limited = ["prlimit".to_owned(), format!("--nofile=1024:{FILES}")].to_vec();
    let made = program("prlimit")
        .args([&format!("--nofile={FILES}:{FILES}"), "true"])
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: a process here cannot have {FILES} files open");
        return;
    }
    let addresses: Vec<_> = (0..ADDRESSES).map(|_| free_address()).collect();
    let texts = addresses.iter().map(ToString::to_string).collect();
    let calls = free_address();
    let (listen, publish, calls) = match whose {
        Whose::Callers => (texts, Vec::new(), addresses[0]),
        Whose::Fetchers => (vec![calls.to_string()], texts, calls),
    };
    let farm = Farm::new(Setup {
        inside: limited,
        listen,
        publish,
        ..Setup::default()
    });
    let agent =
        can_build().then(|| farm.agent(Vec::new(), "agent", &format!("http://{calls}"), ""));
    let build = |name: &str| {
        if agent.is_some() {
            Build::new(&farm, name, "echo > $out", &[]).run(&farm);
        }
    };
    build("before");
    let (memory, files) = (
        farm.coordinator.kibibytes("VmRSS"),
        farm.coordinator.files(),
    );

    let client = Client::start(whose, &addresses, CONNECTIONS);
    assert_eq!((client.open, client.refused), (CONNECTIONS, 0));
    let grown = farm.coordinator.kibibytes("VmRSS").saturating_sub(memory);
    println!(
        "{CONNECTIONS} idle connections: {grown} KiB more memory, {:.1} KiB for each; {} files",
        grown as f64 / CONNECTIONS as f64,
        farm.coordinator.files()
    );
    assert!(farm.coordinator.files() >= CONNECTIONS);
    for address in &addresses {
        whose.hello(*address);
    }
    build("meanwhile");

    // All places of one address are taken, and more are wanted: who was idle for the longest time goes.
    let crowd = Client::start(whose, &addresses[..1], TOO_MANY);
    println!(
        "{TOO_MANY} more on one address: {} taken, {} refused",
        crowd.open, crowd.refused
    );
    assert_eq!((crowd.open, crowd.refused), (TOO_MANY, 0));
    assert!(farm.coordinator.files() < 3 * PLACES);
    whose.hello(addresses[0]);
    whose.hello(addresses[1]);
    build("in-a-crowd");

    drop((client, crowd));
    wait_until("connections that are closed", || {
        farm.coordinator.files() <= files + 20
    });
    // What was freed the allocator keeps, a part of it for each thread, and which thread gets a connection is chance: it may
    // take as much again, once. If nothing were freed, it would take as much each time.
    for round in 1..=ROUNDS {
        let again = Client::start(whose, &addresses, CONNECTIONS);
        assert_eq!((again.open, again.refused), (CONNECTIONS, 0));
        let now = farm.coordinator.kibibytes("VmRSS");
        println!("{CONNECTIONS} others, time {round}: {now} KiB");
        drop(again);
        wait_until("connections that are closed", || {
            farm.coordinator.files() <= files + 20
        });
    }
    let last = farm.coordinator.kibibytes("VmRSS");
    assert!(last < memory + 4 * grown, "{last}");
    build("after");
}

/// A call on a connection of its own.
fn hello(address: SocketAddr) {
    let url = format!("http://{address}").parse().unwrap();
    let endpoint = HttpEndpoint::connect(url, client_config(None, "network test")).unwrap();
    let message = Message::Hello {
        versions: VERSIONS,
        software: "network test".to_owned(),
    };
    let answer = runtime().block_on(endpoint.call(&Peer::Anonymous, message, None));
    answer.unwrap();
}

/// A process that holds connections until it is dropped.
struct Client {
    child: Child,
    /// So that it can say what it likes.
    _said: BufReader<ChildStdout>,
    open: usize,
    refused: usize,
}

impl Client {
    fn start(whose: Whose, addresses: &[SocketAddr], count: usize) -> Self {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let this = std::env::current_exe().unwrap();
        let mut child = program("prlimit")
            .arg(format!("--nofile={FILES}:{FILES}"))
            .arg(this)
            .args(["--exact", "--nocapture", "idle::the_client_itself"])
            .env(
                CLIENT,
                format!("{count} {} {}", whose.path(), addresses.join(" ")),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let lines = said.by_ref().lines().map_while(Result::ok);
        let mut lines = lines.inspect(|line| println!("client: {line}"));
        let line = lines.find_map(|line| Some(line.split_once("holds ")?.1.to_owned()));
        let line = line.expect("it says what it holds");
        let mut numbers = line.split(' ').map(|word| word.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Self {
            open: next(),
            refused: next(),
            child,
            _said: said,
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It ends when its input does.
        self.child.stdin = None;
        let _ = self.child.wait();
    }
}

/// What runs in the process of a [`Client`]; without being told where to connect it has nothing to do.
#[test]
fn the_client_itself() {
    let Ok(told) = std::env::var(CLIENT) else {
        return;
    };
    let mut words = told.split(' ');
    let count: usize = words.next().unwrap().parse().unwrap();
    let path = words.next().unwrap().to_owned();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let addresses: Vec<SocketAddr> = words.map(|word| word.parse().unwrap()).collect();
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..count {
        let mut stream = TcpStream::connect(addresses[number % addresses.len()]).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let asked = stream.write_all(request.as_bytes());
        let mut answer = [0; 1000];
        let answered = asked.and_then(|()| stream.read(&mut answer));
        let answer = String::from_utf8_lossy(&answer[..answered.unwrap_or(0)]);
        if answer.starts_with("HTTP/1.1 200 ") {
            open.push(stream);
        } else {
            // Where very many are refused at once, some are closed without a word.
            assert!(
                answer.is_empty() || answer.contains("too many connections"),
                "{answer}"
            );
            refused += 1;
        }
    }
    println!("holds {} {refused}", open.len());
    let _ = std::io::stdin().read(&mut [0]);
}
