//! The builtin builders, against servers on the loopback device.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use grange_derivation::{Builder as Author, Dialect, Hash, Instantiated, nar};
use grange_interfaces::{BuildError, Job, Stop};
use grange_model::{FailureKind, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::{Farm, FirstOutput, LIMITS, Outcome, add_nar, farm};

/// A server that lives as long as this.
struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers with what `answer` makes of a path.
async fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await?);
                }
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap();
                stream.write_all(&answer(path)).await
            });
        }
    });
    Server { address, task }
}

fn ok(body: &[u8]) -> Vec<u8> {
    [
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .as_bytes(),
        body,
    ]
    .concat()
}

fn not_found() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
}

async fn data_server() -> Server {
    serve(|path| match path {
        "/data" | "/mirror/data" => ok(b"data"),
        "/other" => ok(b"other"),
        "/moved" => b"HTTP/1.1 302 Found\r\nLocation: /data\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        "/round" => b"HTTP/1.1 302 Found\r\nLocation: round\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nda".to_vec(),
        _ => not_found(),
    })
    .await
}

fn download(farm: &Farm, url: &str) -> Author {
    Author::new(
        &farm.store_dir(),
        "download",
        "x86_64-linux",
        "builtin:download",
    )
    .env("url", url)
}

fn of_data(farm: &Farm, author: Author) -> Instantiated {
    farm.drv(author.fixed(false, Hash::sha256(b"data")))
}

#[track_caller]
fn kind(outcome: &Outcome) -> &FailureKind {
    match outcome.error() {
        BuildError::Failed { kind, .. } => kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn guix_download() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let server = data_server().await;
    let at = format!("http://{}", server.address);
    for (name, url) in [
        ("one", format!("\"{at}/data\"")),
        (
            "list",
            format!(
                "(\"{at}/none\" \"ftp://x/y\" \"file:///etc/passwd\" \"{at}/cut\" \"{at}/data\")"
            ),
        ),
        ("moved", format!("\"{at}/moved\"")),
    ] {
        let drv = of_data(&farm, download(&farm, &url).env("which", name));
        let outcome = farm.build(&drv).await;
        outcome.built();
        assert_eq!(farm.read(drv.out()), "data");
        let log = String::from_utf8(outcome.log).unwrap();
        assert!(log.contains("4 bytes downloaded"), "{log}");
        grange_interfaces::LocalStore::delete(&*farm.store, drv.out())
            .await
            .unwrap();
    }
    let wrong = of_data(&farm, download(&farm, &format!("\"{at}/other\"")));
    assert_eq!(kind(&farm.build(&wrong).await), &FailureKind::HashMismatch);
    for url in [
        format!("\"{at}/none\""),
        format!("\"{at}/round\""),
        format!("\"{at}/cut\""),
        "\"file:///etc/passwd\"".to_owned(),
        "()".to_owned(),
        "unquoted".to_owned(),
        "\"http://127.0.0.1:1/\"".to_owned(),
    ] {
        let drv = of_data(&farm, download(&farm, &url));
        assert_eq!(kind(&farm.build(&drv).await), &FailureKind::Other, "{url}");
        assert!(farm.store.info(drv.out()).is_none());
    }
}

#[tokio::test]
async fn guix_download_of_a_program() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let server = data_server().await;
    let mut encoder = nar::Encoder::new(Vec::new());
    encoder.regular(true, 4).unwrap();
    encoder.contents(&mut &b"data"[..]).unwrap();
    let hash = Hash::sha256(&encoder.finish().unwrap().0);
    let author =
        download(&farm, &format!("\"http://{}/data\"", server.address)).env("executable", "1");
    farm.build(&farm.drv(author.fixed(true, hash)))
        .await
        .built();
}

#[tokio::test]
async fn guix_download_from_mirrors() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let server = data_server().await;
    let mirrors = format!(
        "((other \"http://x/\") (here \"http://{at}/gone/\" \"http://{at}/mirror\"))",
        at = server.address
    );
    let mirrors = add_nar(&farm.store, "mirrors", nar::of_file(mirrors.as_bytes())).await;
    let from = |url: &str| download(&farm, url).env("mirrors", mirrors.to_string());
    let unknown = of_data(
        &farm,
        from("\"mirror://unknown/data\"").source(mirrors.clone()),
    );
    assert_eq!(kind(&farm.build(&unknown).await), &FailureKind::Other);
    let undeclared = of_data(&farm, from("\"mirror://here/data\""));
    assert_eq!(kind(&farm.build(&undeclared).await), &FailureKind::Other);
    let drv = of_data(
        &farm,
        from("\"mirror://here/data\"").source(mirrors.clone()),
    );
    farm.build(&drv).await.built();
    assert_eq!(farm.read(drv.out()), "data");
}

#[tokio::test]
async fn nix_fetchurl() {
    let Some(farm) = farm(Dialect::Nix).await else {
        return;
    };
    let server = data_server().await;
    let author = Author::new(&farm.store_dir(), "data", "builtin", "builtin:fetchurl")
        .env("url", format!("http://{}/data", server.address));
    let unpack = of_data(&farm, author.clone().env("unpack", "1"));
    assert!(matches!(
        farm.build(&unpack).await.error(),
        BuildError::Setup { .. }
    ));
    let drv = of_data(&farm, author);
    farm.build(&drv).await.built();
    assert_eq!(farm.read(drv.out()), "data");
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let drv = of_data(
        &farm,
        download(
            &farm,
            &format!("\"http://{}/\"", listener.local_addr().unwrap()),
        ),
    );
    let job = Job {
        limits: Limits {
            timeout_ms: 200,
            ..LIMITS
        },
        ..farm.job(&drv)
    };
    assert_eq!(
        kind(&farm.run(&job, Stop::never()).await),
        &FailureKind::Timeout
    );
    let (mut stopper, stop) = Stop::new();
    let job = farm.job(&drv);
    let (outcome, ()) = futures::join!(farm.run(&job, stop), async {
        listener.accept().await.unwrap();
        stopper.stop();
    });
    assert_eq!(outcome.error(), &BuildError::Stopped);
}

/// A repository with a tag and a submodule; none where there is no git.
fn repository(directory: &Path) -> Option<String> {
    let git = |arguments: &[&str], at: &Path| {
        let mut command = Command::new("git");
        command.args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.org",
            "-c",
            "protocol.file.allow=always",
        ]);
        command
            .args(arguments)
            .current_dir(at)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stderr(Stdio::null());
        let output = command.output().ok()?;
        assert!(output.status.success(), "git {arguments:?}");
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    let (work, part) = (directory.join("work"), directory.join("part"));
    for at in [&work, &part] {
        std::fs::create_dir(at).unwrap();
        git(&["init", "--quiet", "-b", "main"], at)?;
    }
    std::fs::write(part.join("part-file"), "part\n").unwrap();
    git(&["add", "."], &part);
    git(&["commit", "--quiet", "-m", "part"], &part);
    std::fs::create_dir(work.join("directory")).unwrap();
    std::fs::write(work.join("directory/file"), "first\n").unwrap();
    std::os::unix::fs::symlink("directory/file", work.join("link")).unwrap();
    git(
        &["submodule", "--quiet", "add", "../part", "submodule"],
        &work,
    );
    git(&["add", "."], &work);
    git(&["commit", "--quiet", "-m", "first"], &work);
    git(&["tag", "v1"], &work);
    let first = git(&["rev-parse", "HEAD"], &work)?;
    std::fs::write(work.join("directory/file"), "second\n").unwrap();
    git(&["commit", "--quiet", "-a", "-m", "second"], &work);
    for at in [&work, &part] {
        git(&["update-server-info"], at);
    }
    Some(first)
}

/// What a checkout of the first commit holds.
fn checkout_hash(directory: &Path, recursive: bool) -> Hash {
    let at = directory.join(if recursive {
        "expected-recursive"
    } else {
        "expected"
    });
    std::fs::create_dir_all(at.join("directory")).unwrap();
    std::fs::create_dir_all(at.join("submodule")).unwrap();
    std::fs::write(at.join("directory/file"), "first\n").unwrap();
    std::os::unix::fs::symlink("directory/file", at.join("link")).unwrap();
    std::fs::copy(directory.join("work/.gitmodules"), at.join(".gitmodules")).unwrap();
    if recursive {
        std::fs::write(at.join("submodule/part-file"), "part\n").unwrap();
    }
    nar::digest_path(at).unwrap().hash()
}

/// `git daemon`, one process for each connection.
async fn git_daemon(directory: &Path) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let base = format!("--base-path={}", directory.display());
    let task = tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap().0.into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            let input = std::os::fd::OwnedFd::from(stream);
            let mut command = Command::new("git");
            command
                .args([
                    "-c",
                    "safe.directory=*",
                    "daemon",
                    "--inetd",
                    "--export-all",
                    &base,
                ])
                .env("GIT_CONFIG_COUNT", "1");
            command
                .env("GIT_CONFIG_KEY_0", "safe.directory")
                .env("GIT_CONFIG_VALUE_0", "*");
            let mut child = command
                .stdin(input.try_clone().unwrap())
                .stdout(input)
                .spawn()
                .unwrap();
            tokio::task::spawn_blocking(move || child.wait());
        }
    });
    Server { address, task }
}

fn git_download(farm: &Farm, url: &str, commit: &str, recursive: bool) -> Author {
    Author::new(
        &farm.store_dir(),
        "checkout",
        "x86_64-linux",
        "builtin:git-download",
    )
    .env("url", format!("\"{url}\""))
    .env("commit", commit)
    .env("recursive?", if recursive { "#t" } else { "#f" })
}

async fn check_git(farm: &Farm, directory: &Path, url: &str, first: &str) {
    for recursive in [false, true] {
        let hash = checkout_hash(directory, recursive);
        for commit in [first, "v1"] {
            let drv = farm.drv(git_download(farm, url, commit, recursive).fixed(true, hash));
            farm.build(&drv).await.built();
            grange_interfaces::LocalStore::delete(&*farm.store, drv.out())
                .await
                .unwrap();
        }
    }
    let wrong =
        farm.drv(git_download(farm, url, "main", false).fixed(true, checkout_hash_of(directory)));
    assert_eq!(kind(&farm.build(&wrong).await), &FailureKind::HashMismatch);
    let missing = farm.drv(
        git_download(farm, url, "no-such-tag", false).fixed(true, checkout_hash_of(directory)),
    );
    assert!(matches!(
        kind(&farm.build(&missing).await),
        FailureKind::Exit(_)
    ));
}

fn checkout_hash_of(directory: &Path) -> Hash {
    nar::digest_path(directory.join("expected")).unwrap().hash()
}

#[tokio::test]
async fn guix_git_download() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let Some(first) = repository(directory.path()) else {
        return eprintln!("skipped: no git");
    };
    let server = git_daemon(directory.path()).await;
    check_git(
        &farm,
        directory.path(),
        &format!("git://{}/work", server.address),
        &first,
    )
    .await;
    for (url, commit) in [
        ("file:///", "v1"),
        ("--upload-pack=x", "v1"),
        ("git://127.0.0.1:1/x", "--all"),
        ("git://127.0.0.1:1/x", "v1"),
    ] {
        let drv = farm.drv(git_download(&farm, url, commit, false).fixed(true, Hash::sha256(b"")));
        assert!(
            matches!(
                kind(&farm.build(&drv).await),
                FailureKind::Exit(_) | FailureKind::Other
            ),
            "{url} {commit}"
        );
    }
}

/// Plain files over HTTP: such a server cannot give a single commit, so everything is fetched.
#[tokio::test]
async fn guix_git_download_from_plain_files() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let Some(first) = repository(directory.path()) else {
        return eprintln!("skipped: no git");
    };
    let base = directory.path().to_owned();
    let server = serve(move |path| {
        let path = path.split('?').next().unwrap().trim_start_matches('/');
        let (repository, file) = path.split_once('/').unwrap_or((path, ""));
        std::fs::read(base.join(repository).join(".git").join(file))
            .map_or_else(|_| not_found(), |body| ok(&body))
    })
    .await;
    check_git(
        &farm,
        directory.path(),
        &format!("http://{}/work", server.address),
        &first,
    )
    .await;
}
