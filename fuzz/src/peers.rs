//! What we call: a coordinator, a substitute server, a daemon; each says what it likes.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use grange_daemon_protocol::wire::{DAEMON_MAGIC, Request};
use grange_daemon_protocol::{BuilderConfig, DaemonBuilder, DaemonConfig, DaemonStore};
use grange_derivation::{Builder as Author, Hash, StoreDir, StorePath, nar};
use grange_interfaces::message::{Message, VERSIONS};
use grange_interfaces::{Body, Builder, Endpoint, Job, LocalStore, Log, Peer, Stop, Upstream};
use grange_model::{BuildId, Limits};
use grange_signatures::narinfo::{Compression, Facts, Narinfo, Source};
use grange_signatures::{TrustedKeys, guix};
use grange_transport_http::{ClientConfig, HttpEndpoint};
use grange_upstream::{Config, SubstituteServers};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::runtime::{PATIENCE, runtime};
use crate::watch::unharmed;

/// What is said to each connection, one after the other; the last to all that follow.
type Script = Arc<Mutex<Vec<Vec<u8>>>>;

fn next(script: &Script) -> Vec<u8> {
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    if script.len() > 1 {
        script.remove(0)
    } else {
        script.first().cloned().unwrap_or_default()
    }
}

fn set(script: &Script, answers: Vec<Vec<u8>>) {
    *script.lock().unwrap_or_else(PoisonError::into_inner) = answers;
}

/// Says it, and hears the other side out.
async fn say(stream: impl AsyncRead + AsyncWrite + Unpin, bytes: Vec<u8>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let say = async {
        // Whoever called may have had enough before.
        let _ = writer.write_all(&bytes).await;
        let _ = writer.shutdown().await;
    };
    let mut heard = tokio::io::sink();
    let hear = tokio::io::copy(&mut reader, &mut heard);
    let _ = tokio::join!(say, hear);
}

/// Answers each request with what the script says, and closes the connection.
async fn answer_over_tcp(script: Script) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("there is a loopback interface");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // A fuzzer opens more connections than there are ports that can be kept for late packets.
            let _ = stream.set_zero_linger();
            let bytes = next(&script);
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                if stream.read(&mut asked).await.is_ok_and(|length| length > 0) {
                    say(stream, bytes).await;
                }
            });
        }
    });
    address
}

fn in_time<T>(what: impl Future<Output = T>) -> T {
    unharmed(|| {
        let done = runtime().block_on(async { tokio::time::timeout(PATIENCE, what).await });
        done.expect("each call has an end")
    })
}

async fn drain(body: Option<Body>) -> usize {
    let mut length = 0;
    if let Some(mut body) = body {
        while let Some(Ok(piece)) = body.next().await {
            length += piece.len();
        }
    }
    length
}

/// A coordinator whose answers are these bytes: HTTP, and what is in it.
pub(crate) fn answers(bytes: &[u8]) {
    static FARM: OnceLock<(HttpEndpoint, Script)> = OnceLock::new();
    let (endpoint, script) = FARM.get_or_init(|| {
        let script = Script::default();
        let address = runtime().block_on(answer_over_tcp(Arc::clone(&script)));
        let url = format!("http://{address}").parse();
        let mut config = ClientConfig::default();
        config.answer_bytes = 4_096;
        let endpoint =
            runtime().block_on(async { HttpEndpoint::connect(url.expect("it is a URL"), config) });
        (endpoint.expect("it is a URL"), script)
    });
    let Some((kind, said)) = bytes.split_first() else {
        return;
    };
    let hello = Message::Hello {
        versions: VERSIONS,
        software: "fuzz".to_owned(),
    };
    let log = Message::Log {
        build: BuildId(uuid::Uuid::from_u128(1)),
        attempt: None,
        offset: 0,
        wait_ms: 0,
    };
    let message = [hello, log, Message::Counts][usize::from(kind % 3)].clone();
    in_time(async {
        set(script, vec![said.to_vec()]);
        match endpoint.call(&Peer::Anonymous, message, None).await {
            Ok((_, body)) => drop(drain(body).await),
            Err(refusal) => assert!(!refusal.message.is_empty(), "an error says something"),
        }
    });
}

/// What a substitute server has, and its key.
struct Item {
    facts: Facts,
    nar: Vec<u8>,
    key: guix::SecretKey,
}

impl Item {
    fn new() -> Self {
        let nar = nar::of_file(b"the contents");
        let path = StorePath::new(&StoreDir::guix(), [7; 20], "item").expect("it is a path");
        let hash = Hash::sha256(&nar).to_sha256().expect("it is SHA-256");
        Self {
            facts: Facts::new(path, hash, nar.len() as u64),
            nar,
            key: guix::SecretKey::generate(&[8; 32]),
        }
    }

    fn narinfo(&self, compression: Compression) -> Vec<u8> {
        let url = "nar/item".parse().expect("it is a URL");
        let source = Source::new(url, compression);
        let narinfo = Narinfo::guix(self.facts.clone(), vec![source], Some((&self.key, "fuzz")));
        let text = narinfo.expect("it can be signed").print();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
        .into_bytes()
    }
}

/// A substitute server that answers with these bytes when it is asked for a narinfo; or, behind a good one, for the nar.
pub(crate) fn substitute_server(bytes: &[u8]) {
    static SERVER: OnceLock<(String, Script, Item)> = OnceLock::new();
    let (address, script, item) = SERVER.get_or_init(|| {
        let script = Script::default();
        let address = runtime().block_on(answer_over_tcp(Arc::clone(&script)));
        (address, script, Item::new())
    });
    let Some((kind, said)) = bytes.split_first() else {
        return;
    };
    let compression = ["none", "gzip", "lzip", "xz", "zstd"][usize::from(kind >> 1) % 5];
    let mut answers = vec![said.to_vec()];
    if kind & 1 == 1 {
        answers.insert(0, item.narinfo(Compression::from_name(compression)));
    }
    let mut keys = TrustedKeys::default();
    keys.add_guix(*item.key.public());
    let url = format!("http://{address}/").parse().expect("it is a URL");
    let config = Config::new(vec![url], keys);
    in_time(async {
        set(script, answers);
        // What was said before is forgotten with it.
        let servers = SubstituteServers::new(&config).expect("its keys are trusted");
        let found = servers.find(std::slice::from_ref(&item.facts.path)).await;
        let Some(Ok(Some(info))) = found.into_iter().next() else {
            return;
        };
        assert_eq!(info.nar_hash.0, item.facts.nar_sha256, "what was signed");
        if let Ok(mut body) = servers.nar(&info).await {
            let mut nar = Vec::new();
            while let Some(piece) = body.next().await {
                match piece {
                    Ok(piece) => nar.extend_from_slice(&piece),
                    Err(_) => return,
                }
            }
            assert!(nar == item.nar, "a body that ends well is what was signed");
        }
    });
}

/// A daemon that says these bytes to whoever connects, behind a good greeting or not.
pub(crate) fn daemon(bytes: &[u8]) {
    let Some((kind, said)) = bytes.split_first() else {
        return;
    };
    let store = if kind & 1 == 0 {
        StoreDir::guix()
    } else {
        StoreDir::nix()
    };
    let greeting = if kind & 2 == 0 {
        Vec::new()
    } else {
        greeting(&store)
    };
    let says = [&greeting, said].concat();
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let socket = directory.path().join("socket");
    let mut config = DaemonConfig::new(&socket, store.clone());
    config.patience = Duration::from_secs(2);
    in_time(async {
        let listener = UnixListener::bind(&socket).expect("there is room for a socket");
        let speaking = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(say(stream, says.clone()));
            }
        });
        ask(config, store, kind >> 2).await;
        speaking.abort();
    });
}

/// What a guix-daemon 1.5, or a nix-daemon 2.8, says to a client that has connected.
fn greeting(store: &StoreDir) -> Vec<u8> {
    const LAST: u64 = 0x616c_7473;
    let mut greeting = Request::empty();
    greeting.number(DAEMON_MAGIC);
    if *store == StoreDir::guix() {
        greeting.number(0x164);
    } else {
        greeting.number(0x122).bytes(b"2.8.0");
    }
    greeting.number(LAST);
    greeting.as_bytes().to_vec()
}

/// Asks for one thing.
async fn ask(config: DaemonConfig, store_dir: StoreDir, what: u8) {
    let Ok(store) = DaemonStore::connect(config).await else {
        return;
    };
    let drv = Author::new(&store_dir, "x", "x86_64-linux", "/bin/sh").instantiate();
    let drv = drv.expect("it is a derivation");
    let out = drv.output("out").expect("it has one").clone();
    match what % 5 {
        0 => drop(store.query(&[out, drv.path.clone()]).await),
        1 => {
            if let Ok(body) = store.export(&out).await {
                drain(Some(body)).await;
            }
        }
        2 => drop(store.delete(&out).await),
        3 => drop(store.collect_garbage(1, &[out], true).await),
        _ => {
            let job = Job {
                path: drv.path,
                derivation: Arc::new(drv.derivation),
                text: drv.text.into(),
                inputs: Vec::new(),
                limits: Limits {
                    timeout_ms: 10_000,
                    max_silent_ms: 10_000,
                },
                cores: 1,
            };
            let (log, mut said) = Log::new(16);
            let (_stopper, stop) = Stop::new();
            let builder = DaemonBuilder::new(store, BuilderConfig::new());
            let heard = async { while said.next().await.is_some() {} };
            let (built, ()) = tokio::join!(builder.build(&job, log, stop), heard);
            if let Ok(built) = built {
                let outputs = built.outputs.iter().map(|output| &output.path);
                assert!(outputs.eq([&out]), "what was made is what was asked for");
            }
        }
    }
}
