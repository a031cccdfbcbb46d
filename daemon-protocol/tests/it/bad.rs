//! Daemons that are not as they should be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use grange_daemon_protocol::wire::Version;
use grange_daemon_protocol::{
    BuilderConfig, DaemonBuilder, DaemonConfig, DaemonError, DaemonStore,
};
use grange_derivation::nar;
use grange_derivation::{Builder as Author, Dialect, Hash, Instantiated, StoreDir};
use grange_interfaces::{BuildError, Job, LocalStore, Stop, bytes_of};
use grange_model::{FailureKind, SetupProblem};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::fake::{Collected, Fake, LAST, Script, error, log};
use crate::rig::{FirstOutput, LIMITS, Outcome, body, item, run};

fn drv() -> Instantiated {
    Author::new(&StoreDir::guix(), "x", "x86_64-linux", "/bin/sh")
        .instantiate()
        .unwrap()
}

fn job() -> Job {
    let drv = drv();
    Job {
        path: drv.path.clone(),
        derivation: Arc::new(drv.derivation),
        text: drv.text.into(),
        inputs: vec![],
        limits: LIMITS,
        cores: 0,
    }
}

fn script(builds: &[Vec<u8>]) -> Script {
    let nar = nar::of_file(b"made");
    let drv = drv();
    Script {
        builds: builds.to_vec().into(),
        made: vec![drv.path.to_string(), drv.out().to_string()],
        nar_hash: Hash::sha256(&nar).to_base16(),
        nar,
        ..Script::default()
    }
}

fn good() -> Vec<u8> {
    let started = format!("@ build-started {} - x86_64-linux /log 7\n", drv().path);
    let ended = format!(
        "@ build-log 7 6\nhello\n@ build-succeeded {} -\n",
        drv().path
    );
    log(&[&started, &ended], &[LAST, 1])
}

fn config(fake: &Fake) -> DaemonConfig {
    let mut config = DaemonConfig::new(&fake.socket, StoreDir::guix());
    config.patience = Duration::from_secs(20);
    config
}

async fn build_with(config: DaemonConfig, wait: Duration) -> Result<Outcome, DaemonError> {
    let store = DaemonStore::connect(config).await?;
    let mut config = BuilderConfig::new();
    config.wait_for_users = wait;
    let builder = DaemonBuilder::new(store, config);
    Ok(run(&builder, &job(), Stop::never()).await)
}

async fn build(builds: &[Vec<u8>]) -> Outcome {
    let fake = Fake::start(script(builds));
    build_with(config(&fake), Duration::ZERO).await.unwrap()
}

fn problem(outcome: &Outcome) -> (&SetupProblem, &str) {
    match outcome.error() {
        BuildError::Setup { problem, message } => (problem, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_one() {
    let fake = Fake::start(script(&[good()]));
    let outcome = build_with(config(&fake), Duration::ZERO).await.unwrap();
    assert_eq!(outcome.log, b"hello\n");
    assert_eq!(
        outcome.built().outputs[0].nar_size,
        nar::of_file(b"made").len() as u64
    );
}

#[tokio::test]
async fn nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    let config = DaemonConfig::new(directory.path().join("none"), StoreDir::guix());
    let error = DaemonStore::connect(config).await.unwrap_err();
    assert!(matches!(error, DaemonError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("/none"), "{error}");
}

#[tokio::test]
async fn versions_that_are_not_known() {
    for (version, dialect) in [
        (0x115, Dialect::Guix),
        (0x115, Dialect::Nix),
        (0x162, Dialect::Guix),
        (0x126, Dialect::Guix),
        (0x164, Dialect::Nix),
        (0x264, Dialect::Guix),
        (0xffff_ffff_ffff_ffff, Dialect::Guix),
    ] {
        let fake = Fake::start(Script {
            version,
            ..Script::default()
        });
        let mut config = config(&fake);
        config.dialect = dialect;
        match DaemonStore::connect(config).await {
            Err(DaemonError::Version { spoken, .. }) => assert_eq!(spoken, Version(version)),
            other => panic!("{version:#x}: {other:?}"),
        }
    }
}

/// Whatever the daemon was about to say when it went, it is the daemon that failed, not the build; and nothing waits.
#[tokio::test]
async fn it_closes_at_every_byte() {
    let whole = Fake::start(script(&[good()]));
    build_with(config(&whole), Duration::ZERO)
        .await
        .unwrap()
        .built();
    assert!(whole.said() > 300);
    for budget in 0..whole.said() {
        let mut script = script(&[good()]);
        script.budget = Some(budget);
        let fake = Fake::start(script);
        match build_with(config(&fake), Duration::ZERO).await {
            Err(DaemonError::Closed) => {}
            Err(other) => panic!("at {budget}: {other}"),
            Ok(outcome) => {
                let (problem, message) = problem(&outcome);
                assert_eq!(problem, &SetupProblem::Other, "at {budget}");
                assert!(
                    message.contains("closed the connection"),
                    "at {budget}: {message}"
                );
            }
        }
    }
}

#[tokio::test]
async fn it_closes_at_every_byte_of_an_export() {
    let known = || {
        let script = script(&[]);
        script.valid.lock().unwrap().insert(drv().out().to_string());
        script
    };
    let export = async |script: Script| {
        let fake = Fake::start(script);
        let Ok(store) = DaemonStore::connect(config(&fake)).await else {
            return (None, 0);
        };
        let nar = match store.export(drv().out()).await {
            Ok(body) => bytes_of(body, 1 << 20).await.ok(),
            Err(_) => None,
        };
        (nar, fake.said())
    };
    let (nar, said) = export(known()).await;
    assert_eq!(nar.unwrap(), nar::of_file(b"made"));
    for budget in 0..said {
        let mut script = known();
        script.budget = Some(budget);
        let (nar, _) = export(script).await;
        assert_eq!(nar, None, "at {budget}");
    }
}

#[tokio::test]
async fn it_stalls() {
    let whole = Fake::start(script(&[good()]));
    build_with(config(&whole), Duration::ZERO)
        .await
        .unwrap()
        .built();
    for budget in [0, 10, 30, 70, whole.said() - 1] {
        let mut script = script(&[good()]);
        script.budget = Some(budget);
        script.stall = true;
        let fake = Fake::start(script);
        let mut config = config(&fake);
        config.patience = Duration::from_millis(100);
        match build_with(config, Duration::ZERO).await {
            Err(error) => assert!(matches!(error, DaemonError::Stalled { .. }), "{error}"),
            Ok(outcome) => {
                let (problem, message) = problem(&outcome);
                assert_eq!(problem, &SetupProblem::Other);
                assert!(message.contains("has said nothing"), "{message}");
            }
        }
    }
}

/// A daemon that keeps no limits does not make a build endless.
#[tokio::test]
async fn it_keeps_no_limits() {
    let started = format!("@ build-started {} - x86_64-linux /log 7\n", drv().path);
    let mut script = script(&[log(&[&started], &[])]);
    script.stall = true;
    let fake = Fake::start(script);
    let mut config = config(&fake);
    config.patience = Duration::from_millis(100);
    let store = DaemonStore::connect(config).await.unwrap();
    let builder = DaemonBuilder::new(store, BuilderConfig::new());
    let mut job = job();
    job.limits.max_silent_ms = 1000;
    let outcome = run(&builder, &job, Stop::never()).await;
    match outcome.error() {
        BuildError::Failed { kind, .. } => assert_eq!(kind, &FailureKind::Silence),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_talks_nonsense() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let words: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0xff; 64],
        b"oixd\0\0\0\0\x64\x01\0\0\0\0\0\0nonsense",
        b"oixd\0\0\0\0\x64\x01\0\0\0\0\0\0gmlo\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for words in words {
        let speak = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(words).await.unwrap();
            stream
        };
        let connect = DaemonStore::connect(DaemonConfig::new(&socket, StoreDir::guix()));
        let (_stream, result) = futures::future::join(speak, connect).await;
        let error = result.unwrap_err();
        assert!(matches!(error, DaemonError::Nonsense(_)), "{error}");
    }
}

#[tokio::test]
async fn it_builds_what_it_was_not_told_to() {
    let other = "@ build-started /gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-other.drv - x86_64-linux /log 7\n";
    let outcome = build(&[log(&[other], &[LAST, 1])]).await;
    let (what, message) = problem(&outcome);
    assert_eq!(what, &SetupProblem::Other);
    assert!(
        message.contains("w84-other.drv, which it was not told to"),
        "{message}"
    );
    let outcome = build(&[log(&["@ build-log 8 4\nabcd"], &[LAST, 1])]).await;
    assert!(
        problem(&outcome).1.contains("has not announced"),
        "{outcome:?}"
    );
    let substitute =
        "@ substituter-started /gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-x substitute\n";
    let outcome = build(&[log(&[substitute], &[LAST, 1])]).await;
    assert!(
        problem(&outcome).1.contains("substitutes /gnu"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn it_has_no_build_users_left() {
    let busy = error(
        &[],
        "all build users are currently in use; consider creating additional users",
        1,
    );
    let outcome = build(std::slice::from_ref(&busy)).await;
    let (what, message) = problem(&outcome);
    assert_eq!(what, &SetupProblem::Other);
    assert!(
        message.contains("all build users are currently in use"),
        "{message}"
    );
    // Where one waits, there may be one.
    let fake = Fake::start(script(&[busy, good()]));
    let valid = fake.script.valid.lock().unwrap().clone();
    assert_eq!(valid.len(), 0);
    let outcome = build_with(config(&fake), Duration::from_secs(60))
        .await
        .unwrap();
    outcome.built();
}

#[tokio::test]
async fn it_has_no_room() {
    let outcome = build(&[error(&[], "writing to file: No space left on device", 1)]).await;
    assert_eq!(problem(&outcome).0, &SetupProblem::DiskFull);
}

#[tokio::test]
async fn it_says_that_it_has_built_what_it_has_not() {
    let mut script = script(&[log(&[], &[LAST, 1])]);
    script.made.truncate(1);
    let fake = Fake::start(script);
    let outcome = build_with(config(&fake), Duration::ZERO).await.unwrap();
    assert!(problem(&outcome).1.contains("is not valid"), "{outcome:?}");
    let outcome = build(&[log(&[], &[LAST, 2])]).await;
    assert!(
        problem(&outcome).1.contains("result 2 is not possible"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn garbage_is_counted_and_what_is_kept_is_said_before() {
    /// The daemon's numbers for saying what is dead, and for deleting it.
    const SAY: u64 = 1;
    const DELETE: u64 = 2;
    let fake = Fake::start(script(&[]));
    let store = DaemonStore::connect(config(&fake)).await.unwrap();
    let drv = drv();
    let keep = [drv.path.clone()];
    let freed = store.collect_garbage(1 << 20, &keep, true).await.unwrap();
    assert_eq!((freed.items, freed.bytes), (1, 4242));
    // What was said before counts only if the daemon knows its size.
    let freed = store.collect_garbage(1, &keep, false).await.unwrap();
    assert_eq!((freed.items, freed.bytes), (0, 0));
    let kept: BTreeSet<_> = keep.iter().map(ToString::to_string).collect();
    let collected = |action, bytes| Collected {
        action,
        kept: kept.clone(),
        bytes,
    };
    assert_eq!(
        *fake.script.collected.lock().unwrap(),
        [collected(DELETE, 1 << 20), collected(SAY, u64::MAX)]
    );
}

#[tokio::test]
async fn a_connection_that_failed_is_not_used_again() {
    let fake = Fake::start(script(&[]));
    let store = DaemonStore::connect(config(&fake)).await.unwrap();
    let paths = [drv().path];
    for _ in 0..3 {
        assert_eq!(store.query(&paths).await.unwrap(), [None]);
    }
    assert_eq!(fake.connections.load(Ordering::Relaxed), 1);
    // It has no such operation.
    store.delete(&paths[0]).await.unwrap_err();
    let before = fake.connections.load(Ordering::Relaxed);
    assert_eq!(store.query(&paths).await.unwrap(), [None]);
    assert_eq!(fake.connections.load(Ordering::Relaxed), before + 1);
    // Nor is one of which the import broke off.
    let nar = nar::of_file(&[1; 2_000_000]);
    let mut info = item(drv().out().clone(), &nar, vec![]);
    info.nar_hash.0[0] ^= 1;
    store.import(&info, body(nar)).await.unwrap_err();
    assert_eq!(store.query(&paths).await.unwrap(), [None]);
}
