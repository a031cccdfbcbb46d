//! How builds are ended, and that nothing is left of them.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::future::join;
use grange_derivation::{Dialect, Instantiated};
use grange_interfaces::{BuildError, Builder, Job, Log, Stop};
use grange_model::{FailureKind, Limits};
use grange_sandbox::{SandboxStore, StoreConfig};

use crate::fixture::{Farm, FirstOutput, farm, farm_with, make_writable};

/// Says a word, then keeps processes of every kind: children, orphans, ones in sessions of their own, ones that
/// ignore signals.
fn stubborn(farm: &Farm, name: &str) -> Instantiated {
    let mark = mark(farm);
    let script = format!(
        "trap '' TERM INT HUP
(sleep 10000.{mark} &)
$bb setsid $bb sleep 10000.{mark} &
echo ready
while true; do $bb sleep 10000.{mark}; done"
    );
    farm.drv(farm.shell(name, &script))
}

/// What no other test has in its command lines.
fn mark(farm: &Farm) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(farm.directory.path().as_os_str().as_encoded_bytes());
    hasher.finish() % 1_000_000_000
}

/// How many processes of the build there are.
fn processes(farm: &Farm) -> usize {
    marked(&format!("10000.{}", mark(farm)))
}

fn marked(mark: &str) -> usize {
    let lines = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            line.split(|byte| *byte == 0)
                .any(|word| word == mark.as_bytes())
        })
        .count()
}

fn build_directories(farm: &Farm) -> usize {
    fs::read_dir(farm.directory.path().join("store/build"))
        .unwrap()
        .count()
}

fn nothing_is_left(farm: &Farm, drv: &Instantiated) {
    assert_eq!(processes(farm), 0);
    assert_eq!(build_directories(farm), 0);
    assert!(farm.store.info(drv.out()).is_none());
}

/// Runs a build until it says `ready` and all its processes are there, then does something; returns its result.
async fn when_ready(
    farm: &Farm,
    job: &Job,
    stop: Stop,
    then: impl FnOnce(),
) -> Result<(), BuildError> {
    let (log, mut receiver) = Log::new(1);
    let watch = async {
        let mut said = Vec::new();
        while !said.ends_with(b"ready\n") {
            said.extend_from_slice(&receiver.next().await.expect("it says that it is ready"));
        }
        while processes(farm) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        then();
        while receiver.next().await.is_some() {}
    };
    let (result, ()) = join(farm.builder.build(job, log, stop), watch).await;
    result.map(drop)
}

#[tokio::test]
async fn stopped() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let drv = stubborn(&farm, "stopped");
    let (mut stopper, stop) = Stop::new();
    let result = when_ready(&farm, &farm.job(&drv), stop, || stopper.stop()).await;
    assert_eq!(result, Err(BuildError::Stopped));
    nothing_is_left(&farm, &drv);
}

#[tokio::test]
async fn dropped() {
    let Some(farm) = farm(Dialect::Nix).await else {
        return;
    };
    let drv = stubborn(&farm, "dropped");
    let job = farm.job(&drv);
    let (send, gone) = tokio::sync::oneshot::channel();
    {
        let running = when_ready(&farm, &job, Stop::never(), || send.send(()).unwrap());
        tokio::select! {
            result = running => panic!("it ended by itself: {result:?}"),
            said = gone => said.unwrap(),
        }
    }
    nothing_is_left(&farm, &drv);
    // The store is as usable as before.
    farm.build(&farm.drv(farm.shell("after", "echo > $out")))
        .await
        .built();
}

#[tokio::test]
async fn timeout_and_silence() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let long = 600_000;
    for (timeout_ms, max_silent_ms, kind) in [
        (300, long, FailureKind::Timeout),
        (long, 300, FailureKind::Silence),
    ] {
        let drv = stubborn(&farm, "limited");
        let job = Job {
            limits: Limits {
                timeout_ms,
                max_silent_ms,
            },
            ..farm.job(&drv)
        };
        let outcome = farm.run(&job, Stop::never()).await;
        match outcome.error() {
            BuildError::Failed { kind: found, .. } => assert_eq!(*found, kind),
            other => panic!("{other:?}"),
        }
        nothing_is_left(&farm, &drv);
    }
    // Talking helps against one of them. In all it takes longer than it may be silent.
    let drv = farm.drv(farm.shell(
        "brief",
        "for i in 1 2 3 4 5 6 7 8; do echo tick; $bb sleep 0.25; done; echo ok > $out",
    ));
    let job = Job {
        limits: Limits {
            timeout_ms: long,
            max_silent_ms: 1_500,
        },
        ..farm.job(&drv)
    };
    farm.run(&job, Stop::never()).await.built();
}

#[tokio::test]
async fn a_log_that_nobody_reads_is_no_silence() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let drv = farm.drv(farm.shell("unread", "seq 1 200000; echo ok > $out"));
    let job = Job {
        limits: Limits {
            timeout_ms: 600_000,
            max_silent_ms: 400,
        },
        ..farm.job(&drv)
    };
    let (log, mut receiver) = Log::new(0);
    let read = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        while receiver.next().await.is_some() {}
    };
    let (result, ()) = join(farm.builder.build(&job, log, Stop::never()), read).await;
    result.unwrap();
}

#[tokio::test]
async fn stopped_while_nobody_reads_the_log() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let drv = farm.drv(farm.shell("unread-stopped", "$bb yes"));
    let (log, mut receiver) = Log::new(0);
    let (mut stopper, stop) = Stop::new();
    let job = farm.job(&drv);
    let listen = async {
        receiver.next().await.unwrap();
        stopper.stop();
    };
    let (result, ()) = join(farm.builder.build(&job, log, stop), listen).await;
    assert_eq!(result, Err(BuildError::Stopped));
    assert_eq!(build_directories(&farm), 0);
}

#[tokio::test]
async fn too_much_log() {
    let limit = 1 << 20;
    let Some(farm) = farm_with(Dialect::Nix, |config| config.max_log_bytes = Some(limit)).await
    else {
        return;
    };
    let outcome = farm
        .build(&farm.drv(farm.shell("talkative", "$bb yes")))
        .await;
    assert!(matches!(
        outcome.error(),
        BuildError::Failed {
            kind: FailureKind::Other,
            ..
        }
    ));
    assert!(outcome.log.len() as u64 <= limit);
    let drv = farm.drv(farm.shell("quiet", "seq 1 10000; echo > $out"));
    farm.build(&drv).await.built();
}

#[tokio::test]
async fn bounds_of_processes() {
    let change = |config: &mut grange_sandbox::SandboxConfig| {
        config.limits.open_files = Some(77);
        config.limits.file_bytes = Some(1 << 20);
        config.limits.memory_bytes = Some(1 << 30);
    };
    let Some(farm) = farm_with(Dialect::Guix, change).await else {
        return;
    };
    let script = "{ ulimit -n; ulimit -v; ulimit -S -c; umask; } > $out; dd if=/dev/zero of=big bs=1M count=3 || echo cut >> $out";
    let drv = farm.drv(farm.shell("bounds", script));
    farm.build(&drv).await.built();
    assert_eq!(farm.read(drv.out()), "77\n1048576\n0\n0022\ncut\n");
}

const CHILD: &str = "GRANGE_TEST_TO_BE_KILLED";

/// The agent is killed, and can do nothing about its builds. Runs itself once more to be killed.
#[tokio::test]
async fn killed() {
    if std::env::var_os(CHILD).is_some() {
        let Some(farm) = farm(Dialect::Guix).await else {
            return;
        };
        let drv = stubborn(&farm, "killed");
        let job = farm.job(&drv);
        let tell = || {
            eprintln!(
                "running 10000.{} {}",
                mark(&farm),
                farm.directory.path().display()
            )
        };
        when_ready(&farm, &job, Stop::never(), tell).await.unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "limits::killed", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let said: Vec<String> = lines
        .take_while(|line| !line.starts_with("skipped"))
        .take(1)
        .collect();
    let Some((mark, directory)) = said
        .first()
        .and_then(|line| line.strip_prefix("running ")?.split_once(' '))
    else {
        child.wait().unwrap();
        return eprintln!("skipped: as above");
    };
    assert!(marked(mark) >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
    while marked(mark) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The helper ends after the last of the build's processes; the store is free when it does.
    let config = StoreConfig::new(format!("{directory}/store"), Dialect::Guix.store_dir());
    let store = SandboxStore::open(config).unwrap();
    assert_eq!(
        fs::read_dir(format!("{directory}/store/build"))
            .unwrap()
            .count(),
        0
    );
    drop(store);
    make_writable(directory.as_ref());
    fs::remove_dir_all(directory).unwrap();
}
