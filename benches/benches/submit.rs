//! What a client sends.
//!
//! A client with a store of its own submits 1,000 derivations, of which the coordinator has all but 10. Bytes are
//! counted between the two, by a proxy, headers and all. The baseline is the same to a coordinator that has nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use grange::derivation::{Builder, Hash, Instantiated, StoreDir, paths};
use grange_benches::farm::Farm;
use grange_benches::process::Process;
use grange_benches::report::{Goal, beside, figure, line, ratio};
use grange_benches::{number, run, trivial};
use tokio::net::{TcpListener, TcpStream};

fn main() -> ExitCode {
    run("submit", measure)
}

/// What a run of `grange build` took.
struct Run {
    sent: u64,
    received: u64,
    peak: f64,
    seconds: f64,
}

async fn measure() -> anyhow::Result<()> {
    let all = usize::try_from(number("derivations", 1_000)?)?;
    let new = usize::try_from(number("new", 10)?)?;
    let store = tempfile::tempdir()?;
    let derivations = write_store(store.path(), all)?;
    let files: Vec<PathBuf> = derivations
        .iter()
        .map(|it| store.path().join(it.path.base_name()))
        .collect();
    let size = |all: &[Instantiated]| all.iter().map(|it| it.text.len()).sum::<usize>();

    let nothing = submit(&Farm::start().await?, &files).await?;
    let farm = Farm::start().await?;
    submit(&farm, &files[..all - new]).await?;
    let most = submit(&farm, &files).await?;
    let again = submit(&farm, &files).await?;

    line(&format!(
        "  {all} derivations, {} bytes, and their sources",
        size(&derivations)
    ));
    for (what, run) in [
        ("baseline: the coordinator has nothing".to_owned(), &nothing),
        (format!("the coordinator has all but {new}"), &most),
        ("the coordinator has all".to_owned(), &again),
    ] {
        beside(&format!("{what}: sent"), run.sent as f64 / 1e3, "kB");
        beside(
            &format!("{what}: received"),
            run.received as f64 / 1e3,
            "kB",
        );
        beside(
            &format!("{what}: peak memory of the client"),
            run.peak,
            "MiB",
        );
        beside(&format!("{what}: time"), run.seconds, "s");
    }
    let texts = size(&derivations[all - new..]) as f64 / 1e3;
    let more = (most.sent - again.sent) as f64 / 1e3;
    beside(&format!("texts of the {new} new ones"), texts, "kB");
    beside(
        "sent for them, beyond what is sent when the coordinator has all",
        more,
        "kB",
    );
    ratio(
        "sent to what is sent when the coordinator has nothing",
        most.sent as f64,
        nothing.sent as f64,
    );
    figure(
        "sent for new ones to their texts",
        more / texts,
        "times",
        Goal::Below(2.0),
    );
    Ok(())
}

/// Derivations in layers of 50, each using three of the layer before, and one of 20 sources.
fn write_store(directory: &Path, count: usize) -> anyhow::Result<Vec<Instantiated>> {
    let store = StoreDir::guix();
    let mut sources = Vec::new();
    for number in 0..20 {
        let text = format!("source {number}\n").repeat(500);
        let hash = Hash::sha256(text.as_bytes())
            .to_sha256()
            .context("it is SHA-256")?;
        let path = paths::text_path(&store, &format!("source-{number}"), [], &hash)?;
        fs::write(directory.join(path.base_name()), text)?;
        sources.push(path);
    }
    let mut all: Vec<Instantiated> = Vec::new();
    for number in 0..count {
        let name = format!("package-{number}");
        let mut builder = Builder::new(&store, name, trivial::system(), "/bin/sh")
            .arg("-c")
            .arg("echo $inputs > $out")
            .env("flags", "-O2 -g -Wall ".repeat(100))
            .source(sources[number % sources.len()].clone());
        for input in [1, 7, 20] {
            if let Some(input) = number.checked_sub(50 + input).and_then(|at| all.get(at)) {
                builder = builder.input(input, &["out"]);
            }
        }
        let made = builder.instantiate()?;
        fs::write(directory.join(made.path.base_name()), &made.text)?;
        all.push(made);
    }
    Ok(all)
}

/// Runs `grange build` on these files, through a proxy that counts.
async fn submit(farm: &Farm, files: &[PathBuf]) -> anyhow::Result<Run> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let target = farm.port();
    let proxy = tokio::spawn(proxy(listener, target, Arc::clone(&counts)));
    let mut command = farm.grange(Some(port))?;
    command.arg("build").args(files);
    let begun = Instant::now();
    let process = Process::start(&mut command, &farm.directory().join("submit.log"))?;
    let (status, peak) = process.ended().await?;
    let seconds = begun.elapsed().as_secs_f64();
    let log = fs::read_to_string(farm.directory().join("submit.log"))?;
    anyhow::ensure!(status.success(), "the client ended with {status}: {log}");
    proxy.abort();
    let count = |at: usize| counts[at].load(Ordering::Relaxed);
    Ok(Run {
        sent: count(0),
        received: count(1),
        peak,
        seconds,
    })
}

async fn proxy(listener: TcpListener, target: u16, counts: Arc<[AtomicU64; 2]>) {
    while let Ok((client, _)) = listener.accept().await {
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let server = TcpStream::connect(("127.0.0.1", target)).await?;
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let (one, other) = (Arc::clone(&counts), counts);
            tokio::try_join!(
                pass(from_client, to_server, &one[0]),
                pass(from_server, to_client, &other[1])
            )
        });
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    count: &AtomicU64,
) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            read => {
                count.fetch_add(read as u64, Ordering::Relaxed);
                to.write_all(&buffer[..read]).await?;
            }
        }
    }
}
