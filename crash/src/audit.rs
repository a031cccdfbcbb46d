//! What must be so afterwards, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_bins::connect::client_config;
use grange_coordinator::client::Client as Asking;
use grange_derivation::{Dialect, StoreDir, nar};
use grange_interfaces::Peer;
use grange_interfaces::message::FactView;
use grange_model::FactNumber;
use grange_signatures::narinfo::Narinfo;
use grange_signatures::{TrustedKeys, guix};
use grange_transport_http::{CoordinatorUrl, HttpEndpoint};
use sha2::{Digest as _, Sha256};

use crate::farm::{Client, Farm};
use crate::http;
use crate::process::LIFE;
use crate::work::Build;

/// How long what is cleaned up behind an answer may take.
const SOON: Duration = Duration::from_secs(20);

/// What is published of a build is signed, and its nar is the one that its narinfo speaks of, in each compression.
pub(crate) fn published(client: &Client, public_key: &Path, build: &Build) -> anyhow::Result<()> {
    let page = format!("/guix/{}.narinfo", build.output.hash_part());
    let text = http::get(&client.published, &page)?;
    let narinfo = Narinfo::parse(Dialect::Guix, &StoreDir::guix(), &text)?;
    narinfo.about(&build.output)?;
    let mut trusted = TrustedKeys::new();
    trusted.add_guix(guix::PublicKey::parse(&fs::read(public_key)?)?);
    narinfo
        .verify(&trusted)
        .context("the narinfo's signature")?;
    let facts = narinfo.facts();
    ensure!(
        facts.references.iter().eq(build.refers.iter()),
        "the narinfo of {} has other references",
        build.output
    );
    for source in narinfo.sources() {
        let url = source.url.relative().context("a nar lies elsewhere")?;
        let compressed = http::get(&client.published, &format!("/guix/{url}"))?;
        ensure!(
            source
                .file_size
                .is_none_or(|size| size == compressed.len() as u64),
            "{url} has {} bytes instead of {:?}",
            compressed.len(),
            source.file_size
        );
        let mut plain = Vec::new();
        match url.split('/').nth(1) {
            Some("zstd") => zstd::Decoder::new(&compressed[..])?.read_to_end(&mut plain)?,
            Some("gzip") => {
                flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut plain)?
            }
            _ => bail!("{url} is compressed in a way that nobody asked for"),
        };
        let hash: [u8; 32] = Sha256::digest(&plain).into();
        ensure!(
            hash == facts.nar_sha256 && plain.len() as u64 == facts.nar_size,
            "{url} is not the nar that the narinfo of {} speaks of",
            build.output
        );
        let to = tempfile::tempdir()?;
        let to = to.path().join("out");
        nar::unpack(&mut &plain[..], &to)?;
        build.check_content(&fs::read(&to)?)?;
    }
    Ok(())
}

/// All that was acknowledged is there, and nothing was done twice. The farm rests.
pub(crate) fn farm(farm: &Farm, builds: &[(Build, Vec<u8>)]) -> anyhow::Result<()> {
    let client = farm.client();
    for (build, followed) in builds {
        let view = build.show(&client)?;
        ensure!(
            view["build"]["state"] == "succeeded",
            "an ended build is not ended: {view:#}"
        );
        let here = view["outputs"][0]["available"] == true;
        ensure!(here != build.is_pruned(), "{view:#}");
        ensure!(
            build.log(&client)? == *followed,
            "the log of {} is not what it was",
            build.name
        );
        if here {
            published(&client, &public_key(farm), build)?;
        }
    }
    let facts = facts(&client)?;
    for (build, _) in builds {
        ended_once(build, &facts, farm.may_lose)?;
    }
    let mut done = 0;
    for agent in &farm.agents {
        done += begun_with_cause(&agent.process.said(), farm.may_lose)
            .with_context(|| format!("the agent {}", agent.id))?;
    }
    ensure!(done > 0, "the agents' logs speak of no result");
    Ok(())
}

/// The public part of the key that the coordinator signs with.
pub(crate) fn public_key(farm: &Farm) -> PathBuf {
    farm.state.join("keys/guix.pub")
}

/// How often this happened.
pub(crate) fn count(farm: &Farm, what: &str) -> anyhow::Result<usize> {
    let facts = facts(&farm.client())?;
    Ok(facts.iter().filter(|fact| fact.what == what).count())
}

fn facts(client: &Client) -> anyhow::Result<Vec<FactView>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let url: CoordinatorUrl = client.admin.parse()?;
    runtime.block_on(async {
        let endpoint = HttpEndpoint::connect(url, client_config(None, "crash test"))?;
        let client = Asking::new(Arc::new(endpoint), Peer::Local);
        let mut all: Vec<FactView> = Vec::new();
        let mut after = FactNumber(0);
        loop {
            let (mut facts, _) = client.facts(Some(after), 0).await?;
            let Some(last) = facts.last() else {
                return Ok(all);
            };
            after = last.number;
            all.append(&mut facts);
        }
    })
}

/// It is submitted once and ends once, and nothing is begun after that. It is begun anew only where a lease has run out,
/// or where an agent said that it could not: neither may be, unless agents may lose something.
fn ended_once(build: &Build, facts: &[FactView], may_lose: bool) -> anyhow::Result<()> {
    let own = facts.iter().filter(|fact| {
        let mut ids = fact.builds.iter().map(ToString::to_string);
        ids.any(|id| id == build.id)
    });
    let words: Vec<_> = own.map(|fact| &*fact.what).collect();
    let count = |wanted| words.iter().filter(|word| **word == wanted).count();
    // These are told of one of the builds of a derivation.
    let derivation = build.made.path.to_string();
    let causes = facts.iter().filter(|fact| {
        fact.path.as_ref() == Some(&derivation)
            && ["expired", "setup-failed"].contains(&fact.what.as_str())
    });
    let causes = causes.count();
    let most = if may_lose { 1 + causes } else { 1 };
    // An agent that is killed is given its attempt again: it is no other attempt.
    let once = (count("submitted"), count("ended")) == (1, 1);
    ensure!(
        once && (1..=most).contains(&count("started")) && words.first() == Some(&"submitted"),
        "{}: {words:?}",
        build.name
    );
    let end = words.iter().position(|word| *word == "ended");
    let late = words.iter().rposition(|word| *word == "started");
    ensure!(
        late < end,
        "{} is begun and has ended: {words:?}",
        build.name
    );
    Ok(())
}

/// In one life an agent begins an attempt once, in a later one only if the earlier left no result of it, and never again
/// once the result was taken: a coordinator that dies makes nobody build again. An agent whose disk is bad may lose a
/// result that nobody has taken. How many were done.
fn begun_with_cause(log: &str, may_lose: bool) -> anyhow::Result<usize> {
    let attempt = |line: &str| Some(line.split_once("attempt=")?.1.split(' ').next()?.to_owned());
    let (mut done, mut begun) = (BTreeSet::new(), BTreeSet::new());
    for line in log.lines() {
        let left = line.contains("an earlier run left a result") && !may_lose;
        if line == LIFE {
            begun.clear();
        } else if left || line.contains(": reported") {
            done.extend(attempt(line));
        } else if line.contains("steps::build: building") {
            let name = attempt(line).context("it names its attempt")?;
            ensure!(!done.contains(&name), "{name} was done, and is begun again");
            ensure!(
                begun.insert(name.clone()),
                "{name} is begun twice in one life"
            );
        }
    }
    Ok(done.len())
}

/// Nothing lies where nothing belongs. What no record names is swept before; the farm rests.
pub(crate) fn no_leftovers(farm: &Farm) -> anyhow::Result<()> {
    farm.grange(&["artifacts", "sweep", "--delete"])?;
    let swept = farm.grange(&["artifacts", "sweep"])?;
    ensure!(swept.starts_with("0 of "), "unnamed blobs: {swept}");
    let begun = Instant::now();
    loop {
        let found = leftovers(farm)?;
        if found.is_empty() {
            return Ok(());
        }
        ensure!(begun.elapsed() < SOON, "left over: {found:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn leftovers(farm: &Farm) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = coordinator_leftovers(&farm.state)?;
    if farm.may_lose {
        // The log of an attempt whose end nobody has reported stays, for whoever asks why.
        let uploads = farm.state.join("artifacts/uploads");
        found.retain(|file| {
            !(file.starts_with(&uploads) && file.to_string_lossy().ends_with("-log"))
        });
    }
    for agent in &farm.agents {
        for (directory, most) in [
            (agent.state.join("attempts"), 0),
            (agent.store.join("incoming"), 0),
            (agent.store.join("build"), 0),
            // Attempts, lock and session.
            (agent.state.clone(), 3),
        ] {
            let files = list(&directory)?;
            if files.len() > most {
                found.extend(files);
            }
        }
    }
    Ok(found)
}

/// What is in a coordinator's directory that does not belong there.
pub(crate) fn coordinator_leftovers(state: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let belongs: BTreeMap<&str, fn(&str) -> bool> = BTreeMap::from([
        ("", is_of_state as fn(&str) -> bool),
        ("artifacts", |name| {
            ["blobs", "uploads", "lock"].contains(&name)
        }),
        ("artifacts/uploads", |_| false),
        ("keys", |name| {
            name.ends_with(".sec") || name.ends_with(".pub")
        }),
        ("nar-cache", |name| name.ends_with(".gzip")),
    ]);
    for (directory, belongs) in belongs {
        let files = list(&state.join(directory))?.into_iter();
        found.extend(files.filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            !belongs(&name)
        }));
    }
    Ok(found)
}

fn is_of_state(name: &str) -> bool {
    let database = [
        "grange.db",
        "grange.db-wal",
        "grange.db-shm",
        "grange.db-lock",
    ];
    ["artifacts", "keys", "nar-cache"].contains(&name) || database.contains(&name)
}

fn list(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    Ok(entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}
