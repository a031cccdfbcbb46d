//! A real `guix publish`, and caches that a real `nix copy` made, beside the daemons.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::run;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints the path of an item that refers to another.
const GUIX_ITEM: &str = r#"(use-modules (guix store))
(with-store store
  (let* ((text (string-concatenate (make-list 10000 "the same over and over; ")))
         (a (add-text-to-store store "upstream-a" text))
         (b (add-text-to-store store "upstream-b" (string-append "refers to " a "\n") (list a))))
    (display b)))
"#;

/// Makes a cache for each compression, and prints the path of the item that they have.
const NIX_CACHES: &str = r#"set -eu
nix-store --generate-binary-cache-key test-1 /nix/etc/cache.sec /nix/etc/cache.pub
mkdir -p /nix/etc/tree/sub
head -c 300000 /dev/urandom > /nix/etc/tree/noise
echo text > /nix/etc/tree/sub/text
item=$(nix-store --add /nix/etc/tree)
for compression in xz zstd gzip none; do
    nix copy --to "file:///nix/caches/$compression?compression=$compression&secret-key=/nix/etc/cache.sec" "$item" >&2
done
echo "$item"
"#;

/// What runs beside a daemon, and what tests find it by.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) running: Vec<Child>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// A `guix publish` of the store in this directory.
pub(crate) fn guix(directory: &Path) -> Result<Beside> {
    std::fs::write(directory.join("etc/item.scm"), GUIX_ITEM)?;
    let item = output(
        "xtask/guix",
        directory,
        &["guix", "repl", "--", "/etc/guix/item.scm"],
    )?;
    output(
        "xtask/guix",
        directory,
        &["guix", "archive", "--generate-key"],
    )?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let log = std::fs::File::create(directory.join("publish.log"))?;
    let listen = format!("--port={port}");
    // Debian's Guix cannot write Zstandard.
    let arguments = [
        "guix",
        "publish",
        "--listen=127.0.0.1",
        &listen,
        "-C",
        "lzip",
        "-C",
        "gzip",
    ];
    let mut server = beside("xtask/guix", directory, &arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if server.try_wait()?.is_some() || Instant::now() > end {
            // It takes all that it started along.
            let _ = server.kill();
            let _ = server.wait();
            bail!(
                "it does not listen: {}",
                std::fs::read_to_string(directory.join("publish.log"))?
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let key = directory.join("etc/signing-key.pub");
    Ok(Beside {
        running: vec![server],
        environment: vec![
            (
                "GRANGE_TEST_GUIX_PUBLISH",
                format!("http://127.0.0.1:{port}"),
            ),
            ("GRANGE_TEST_GUIX_PUBLISH_KEY", key.display().to_string()),
            ("GRANGE_TEST_GUIX_PUBLISH_ITEM", item),
        ],
    })
}

/// Caches of the store in this directory: files.
pub(crate) fn nix(directory: &Path) -> Result<Beside> {
    let item = output("xtask/nix", directory, &["sh", "-c", NIX_CACHES])?;
    let caches = directory.join("caches").display().to_string();
    let key = directory.join("etc/cache.pub").display().to_string();
    Ok(Beside {
        running: Vec::new(),
        environment: vec![
            ("GRANGE_TEST_NIX_CACHES", caches),
            ("GRANGE_TEST_NIX_CACHES_KEY", key),
            ("GRANGE_TEST_NIX_CACHES_ITEM", item),
        ],
    })
}

/// A command beside the daemon of a directory.
fn beside(script: &str, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .arg(script)
        .arg("with")
        .arg(directory)
        .args(arguments)
        .current_dir(run::root());
    command
}

/// What it prints.
fn output(script: &str, directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = beside(script, directory, arguments)
        .stdin(Stdio::null())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{script} with {}: {errors}",
        directory.display()
    );
    let printed = String::from_utf8(output.stdout).context("it is not UTF-8")?;
    Ok(printed.trim().to_owned())
}
