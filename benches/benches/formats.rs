//! Derivations and nars.
//!
//! Parsing is measured on the derivations in `derivation/testdata`, hashing on a file of 1 GiB and on 10,000 small
//! ones, all in the page cache. Each has its baseline in the same run, turn by turn. Guix's own reader of derivations
//! (`read-derivation` of `(guix derivations)`) reads the same ones in a process of its own, which takes the time itself; it
//! needs root, and the Guix that `cargo xtask verify --install` gets.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context as _;
use grange::derivation::nar::digest_path;
use grange::derivation::{Derivation, StoreDir, StorePath};
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::stats::Sample;
use grange_benches::{number, run};
use sha2::{Digest as _, Sha256};

/// How much is read at once where the baseline reads.
const PIECE: usize = 256 * 1024;

fn main() -> ExitCode {
    run("formats", || async { measure() })
}

fn measure() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    derivations(usize::try_from(number("rounds", 100)?)?)?;
    one_file(directory.path(), number("bytes", 1 << 30)?)?;
    small_files(directory.path(), number("files", 10_000)?)
}

/// Seconds that it takes.
fn time<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    black_box(work()?);
    Ok(begun.elapsed().as_secs_f64())
}

/// Times of two things that take turns; and their ratios, pair by pair.
fn in_turns(
    rounds: usize,
    mut one: impl FnMut() -> anyhow::Result<()>,
    mut other: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<[Sample; 3]> {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    one()?;
    other()?;
    for round in 0..rounds {
        let (first, second) = if round % 2 == 0 {
            let first = time(&mut one)?;
            (first, time(&mut other)?)
        } else {
            let second = time(&mut other)?;
            (time(&mut one)?, second)
        };
        times[0].push(first);
        times[1].push(second);
        times[2].push(first / second);
    }
    Ok(times.map(Sample::new))
}

fn derivations(rounds: usize) -> anyhow::Result<()> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../derivation/testdata");
    let store = StoreDir::guix();
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for directory in ["drv-samples", "hello-closure"] {
        for entry in fs::read_dir(testdata.join(directory))? {
            let path = entry?.path();
            let base = path.file_name().unwrap_or_default().as_encoded_bytes();
            if base.ends_with(b".drv") {
                let path_there = StorePath::from_base_name(&store, base)?;
                let name = path_there.derivation_name().context("it ends in .drv")?;
                all.push((name.to_owned(), fs::read(&path)?));
            }
        }
    }
    anyhow::ensure!(!all.is_empty(), "there are no derivations to parse");
    let bytes: usize = all.iter().map(|(_, text)| text.len()).sum();
    let parse = || {
        for (name, text) in &all {
            black_box(Derivation::parse(&store, name, text)?);
        }
        Ok(())
    };
    let hash = || {
        for (_, text) in &all {
            black_box(Sha256::digest(text));
        }
        Ok(())
    };
    let [parsing, hashing, ratios] = in_turns(rounds, parse, hash)?;
    let speed = |sample: &Sample| bytes as f64 / 1e6 / sample.median();
    line(&format!("  {} derivations, {bytes} bytes", all.len()));
    beside(
        "baseline: SHA-256 of the same bytes",
        speed(&hashing),
        "MB/s",
    );
    line(&format!(
        "  time of parsing to that of SHA-256: {}",
        ratios.spread()
    ));
    figure("parsing", speed(&parsing), "MB/s", Goal::Above(200.0));
    match guix_reader(&all, rounds)? {
        None => {
            line("  skipped: Guix's own reader: `cargo xtask verify --install`, as root, gets it")
        }
        Some(reading) => {
            beside("baseline: Guix's own reader", speed(&reading), "MB/s");
            let ratio = reading.median() / parsing.median();
            figure(
                "parsing: speed to that of Guix's reader",
                ratio,
                "times",
                Goal::Above(10.0),
            );
        }
    }
    Ok(())
}

/// Reads what the directory in its argument has, so many times, and prints the nanoseconds that each took. Inputs are not
/// followed, and nothing is remembered from one time to the next.
const READER: &str = r#"
(use-modules (guix derivations) (ice-9 ftw) (ice-9 binary-ports) (ice-9 textual-ports) (srfi srfi-1))
(define directory (second (command-line)))
(define texts
  (map (lambda (name)
         (call-with-input-file (string-append directory "/" name) get-string-all #:encoding "ISO-8859-1"))
       (scandir directory (lambda (name) (string-suffix? ".drv" name)))))
(define (now)
  (let ((time (gettimeofday))) (+ (* 1000000000 (car time)) (* 1000 (cdr time)))))
(let loop ((left (string->number (third (command-line)))))
  (let ((begun (now)))
    (for-each (lambda (text) (read-derivation (open-input-string text) identity)) texts)
    (format #t "~a~%" (- (now) begun)))
  (when (> left 1) (loop (- left 1))))
"#;

/// Seconds that Guix takes to read these once.
fn guix_reader(all: &[(String, Vec<u8>)], rounds: usize) -> anyhow::Result<Option<Sample>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !root.join("target/guix/ready").exists() || !rustix::process::getuid().is_root() {
        return Ok(None);
    }
    let directory = tempfile::tempdir()?;
    // What is there is under /var/log/guix for it.
    let log = directory.path().join("log");
    fs::create_dir(&log)?;
    for (number, (_, text)) in all.iter().enumerate() {
        fs::write(log.join(format!("{number}.drv")), text)?;
    }
    fs::write(log.join("reader.scm"), READER)?;
    let output = Command::new("sh")
        .arg(root.join("xtask/guix"))
        .arg("with")
        .arg(directory.path())
        .args([
            "guix",
            "repl",
            "--",
            "/var/log/guix/reader.scm",
            "/var/log/guix",
        ])
        .arg((rounds / 10).max(3).to_string())
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "Guix's reader: {error}");
    let text = String::from_utf8(output.stdout)?;
    let seconds = |line: &str| Ok(line.parse::<f64>()? / 1e9);
    let times: anyhow::Result<Vec<_>> = text.lines().map(seconds).collect();
    // The first reads everything for the first time.
    Ok(Some(Sample::new(times?.split_off(1))))
}

fn one_file(directory: &Path, size: u64) -> anyhow::Result<()> {
    let path = directory.join("large");
    let mut file = File::create(&path)?;
    let mut piece = vec![0; PIECE];
    for at in 0..size / PIECE as u64 {
        piece[..8].copy_from_slice(&at.to_le_bytes());
        file.write_all(&piece)?;
    }
    drop(file);
    let nar = || {
        black_box(digest_path(&path)?);
        Ok(())
    };
    let mut buffer = vec![0; PIECE];
    let plain = || {
        let mut file = File::open(&path)?;
        let mut hash = Sha256::new();
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        black_box(hash.finalize());
        Ok(())
    };
    let [nars, plains, ratios] = in_turns(7, nar, plain)?;
    line(&format!("  one file of {size} bytes"));
    beside("nar hash", size as f64 / 1e6 / nars.median(), "MB/s");
    beside(
        "baseline: SHA-256 of the file",
        size as f64 / 1e6 / plains.median(),
        "MB/s",
    );
    line(&format!("  ratio of each pair: {}", ratios.spread()));
    figure(
        "nar hash to SHA-256, time",
        ratios.median(),
        "times",
        Goal::Below(1.05),
    );
    Ok(fs::remove_file(path)?)
}

fn small_files(directory: &Path, count: u64) -> anyhow::Result<()> {
    let tree = directory.join("tree");
    for number in 0..count {
        let place: PathBuf = tree.join(format!("{:03}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&place)?;
        }
        let text = format!("{number}\n").repeat(usize::try_from(number % 400)?);
        fs::write(place.join(format!("file-{number}")), text)?;
    }
    let nar = || {
        black_box(digest_path(&tree)?);
        Ok(())
    };
    let tar = || {
        let mut shell = Command::new("/bin/sh");
        let output = shell
            .args(["-c", "tar -cf - -C \"$0\" tree | openssl sha256"])
            .arg(directory)
            .output()?;
        anyhow::ensure!(output.status.success(), "tar | openssl sha256 failed");
        Ok(())
    };
    let [nars, tars, ratios] = in_turns(15, nar, tar)?;
    line(&format!("  {count} files of about 1 kB"));
    beside("nar hash", nars.median() * 1e3, "ms");
    beside("baseline: tar | openssl sha256", tars.median() * 1e3, "ms");
    line(&format!("  ratio of each pair: {}", ratios.spread()));
    figure(
        "nar hash to tar | openssl, time",
        ratios.median(),
        "times",
        Goal::Below(1.0),
    );
    Ok(())
}
