//! Connections that are killed while 1 GB goes up.

use std::time::{Duration, Instant};

use crate::builds::{Build, sha256};
use crate::farm::{Farm, Setup, alone, can_build, free_address};
use crate::proxy::{Badness, Break, Proxy};

/// Bytes of the output, which do not get fewer when they are compressed.
const BYTES: u64 = 1 << 30;
const KILLS: u64 = 8;
/// When something hangs: many times what it takes.
const LONGEST: Duration = Duration::from_secs(600);
/// What docs/performance.md allows each process for any output.
const MEMORY_KIB: u64 = 96 << 10;

#[test]
fn an_upload_goes_on_where_its_connection_was_killed() {
    killed(false);
}

#[test]
fn so_does_one_under_tls() {
    killed(true);
}

fn killed(tls: bool) {
    if !can_build() {
        return;
    }
    let _alone = alone();
    let address = free_address();
    let farm = Farm::new(Setup {
        listen: vec![address.to_string()],
        tls,
        ..Setup::default()
    });
    let proxy = Proxy::new(address, Badness::default());
    let scheme = if tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", proxy.address);
    let config = if tls {
        format!("ca = \"{}\"\n", farm.ca().display())
    } else {
        String::new()
    };
    let agent = farm.agent(Vec::new(), "agent", &url, &config);
    Build::random(&farm, "small", 1000).run(&farm);

    let begun = Instant::now();
    let script = format!("head -c {BYTES} /dev/urandom > $out");
    let large = Build::new(&farm, "large", &script, &[]);
    let before = proxy.count();
    // Somewhere in each part of it.
    let part = BYTES / KILLS;
    let random = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) % part;
    proxy.break_at((0..KILLS).map(|n| n * part + random(n)), Break::Reset);
    large.submit(&farm);
    large.wait_within(LONGEST, &farm);
    let after = proxy.count();
    assert_eq!(proxy.broken(), KILLS);

    let file = large.fetch(&farm);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), BYTES);
    // The agent's store has what the builder made.
    let name = large.output();
    let name = name.rsplit('/').next().unwrap().to_owned();
    let made = find(&farm.path().join("agent/store"), &name);
    assert_eq!(sha256(&file), sha256(&made));
    assert_eq!(large.count(&farm.facts(), "started"), 1);

    let blob = largest(&farm.path().join("coordinator/artifacts"));
    let again = (after.up - before.up).saturating_sub(blob);
    println!(
        "{scheme}: {BYTES} bytes, {blob} compressed, killed {KILLS} times: {again} bytes sent again or beside it ({:.3} %), {:?}",
        again as f64 * 100.0 / blob as f64,
        begun.elapsed()
    );
    assert!(again < blob / 100, "{again}");
    for (name, process) in [("coordinator", &farm.coordinator), ("agent", &agent)] {
        let peak = process.kibibytes("VmHWM");
        println!("peak memory of the {name}: {peak} KiB");
        assert!(peak < MEMORY_KIB, "{name}: {peak} KiB");
    }
}

fn files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

fn find(directory: &std::path::Path, name: &str) -> std::path::PathBuf {
    let mut all = files(directory).into_iter();
    all.find(|file| file.file_name().unwrap() == name).unwrap()
}

/// Bytes of the largest file.
fn largest(directory: &std::path::Path) -> u64 {
    let sizes = files(directory).into_iter();
    sizes
        .map(|file| file.metadata().unwrap().len())
        .max()
        .unwrap()
}
