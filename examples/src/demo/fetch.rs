//! Fetching a toolchain from Debian packages, without installing anything.

use super::Toolchain;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why the packages could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// tcc and the paths below are known for one kind of machine.
    #[error("there are no seeds for {0}, only for x86_64")]
    Machine(&'static str),
    /// A program is not there.
    #[error("there is no {0} here")]
    NoProgram(&'static str),
    /// A program failed.
    #[error("{program} failed: {says}")]
    Program {
        /// Which.
        program: &'static str,
        /// The last line of what it said.
        says: String,
    },
    /// A package has no such file any more.
    #[error("the packages hold no {0}")]
    NoFile(&'static str),
    /// Files could not be read or written.
    #[error("cannot {action} `{}`", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

const PACKAGES: [&str; 4] = ["busybox-static", "tcc", "musl-dev", "libc6"];

/// What tcc itself runs on; newer ones of glibc have all in libc.so.6.
const LIBRARIES: [&str; 5] = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
];

/// Where Debian has libraries, before and after all moved below /usr.
const LIBRARY_PLACES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// The seeds in `cache`, fetched if they are not there yet.
pub(super) fn seeds(cache: &Path) -> Result<Toolchain, FetchError> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(FetchError::Machine(std::env::consts::ARCH));
    }
    let home = cache.join("toolchain-x86_64");
    let seeds = Toolchain::Seeds {
        busybox: home.join("busybox"),
        tcc: home.join("tcc"),
    };
    if home.is_dir() {
        return Ok(seeds);
    }
    fs::create_dir_all(cache).map_err(file("make", cache))?;
    let work = tempfile::tempdir_in(cache).map_err(file("make a directory in", cache))?;
    tracing::info!(packages = ?PACKAGES, "fetching a C toolchain");
    download(work.path())?;
    let tree = unpack(work.path())?;
    let ready = work.path().join("ready");
    assemble(&tree, &ready)?;
    try_out(&ready)?;
    match fs::rename(&ready, &home) {
        // Somebody else was as fast.
        Err(_) if home.is_dir() => Ok(seeds),
        renamed => renamed.map(|()| seeds).map_err(file("make", &home)),
    }
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::File {
        action,
        path,
        source,
    }
}

fn run(program: &'static str, command: &mut Command) -> Result<(), FetchError> {
    let command = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = command
        .output()
        .map_err(|_| FetchError::NoProgram(program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(FetchError::Program {
        program,
        says: last.map_or_else(|| output.status.to_string(), str::to_owned),
    })
}

fn apt(directory: &Path, options: &[OsString]) -> Command {
    let mut command = Command::new("apt-get");
    // A host without network shall not keep anybody waiting; `root` because `_apt` cannot write here.
    let settings = [
        "Acquire::Retries=1",
        "Acquire::http::Timeout=10",
        "Acquire::https::Timeout=10",
        "APT::Sandbox::User=root",
    ];
    command
        .current_dir(directory)
        .arg("-q")
        .args(settings.iter().flat_map(|setting| ["-o", setting]))
        .args(options);
    command
}

/// Downloads into a directory, by the host's package lists, or, if these are missing or too old, by lists of our own.
fn download(work: &Path) -> Result<(), FetchError> {
    let first = run("apt-get", apt(work, &[]).arg("download").args(PACKAGES));
    if !matches!(first, Err(FetchError::Program { .. })) {
        return first;
    }
    let (state, cache) = (work.join("apt-state"), work.join("apt-cache"));
    for directory in [state.join("lists/partial"), cache.join("archives/partial")] {
        fs::create_dir_all(&directory).map_err(file("make", &directory))?;
    }
    let setting = |name: &str, value: &Path| {
        let mut setting = OsString::from(name);
        setting.push(value);
        [OsString::from("-o"), setting]
    };
    let lists = setting("Dir::State::Lists=", &state.join("lists"));
    let options = [
        setting("Dir::State=", &state),
        lists,
        setting("Dir::Cache=", &cache),
    ]
    .concat();
    let second = run("apt-get", apt(work, &options).arg("update")).and_then(|()| {
        run(
            "apt-get",
            apt(work, &options).arg("download").args(PACKAGES),
        )
    });
    // The first complaint is the one that a person can do something about.
    second.or(first)
}

/// Unpacks all packages of a directory into one tree.
fn unpack(work: &Path) -> Result<PathBuf, FetchError> {
    let tree = work.join("tree");
    for path in list(work)? {
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(
                "dpkg-deb",
                Command::new("dpkg-deb").arg("-x").arg(&path).arg(&tree),
            )?;
        }
    }
    Ok(tree)
}

/// Picks what is needed. Files alone: a link of the packages would lead out of the store.
fn assemble(tree: &Path, ready: &Path) -> Result<(), FetchError> {
    let (busybox, tcc) = (ready.join("busybox"), ready.join("tcc"));
    let program = ["bin/busybox", "usr/bin/busybox"]
        .iter()
        .map(|place| tree.join(place))
        .find(|path| path.is_file());
    copy(
        &program.ok_or(FetchError::NoFile("busybox"))?,
        &busybox.join("bin/busybox"),
    )?;
    let compiler = tree.join("usr/bin/tcc");
    if !compiler.is_file() {
        return Err(FetchError::NoFile("tcc"));
    }
    copy(&compiler, &tcc.join("bin/tcc"))?;
    copy(
        &tree.join("usr/lib/x86_64-linux-gnu/tcc"),
        &tcc.join("lib/tcc"),
    )?;
    copy(
        &tree.join("usr/lib/x86_64-linux-musl"),
        &tcc.join("lib/musl"),
    )?;
    copy(
        &tree.join("usr/include/x86_64-linux-musl"),
        &tcc.join("include"),
    )?;
    for library in LIBRARIES {
        let found = LIBRARY_PLACES
            .iter()
            .map(|place| tree.join(place).join(library))
            .find(|path| path.is_file());
        if let Some(found) = found {
            copy(&found, &tcc.join("lib").join(library))?;
        }
    }
    Ok(())
}

/// Copies a file, or the files below a directory.
fn copy(from: &Path, to: &Path) -> Result<(), FetchError> {
    if from.is_dir() {
        for path in list(from)? {
            if let Some(name) = path.file_name() {
                copy(&path, &to.join(name))?;
            }
        }
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(file("make", parent))?;
    }
    fs::copy(from, to).map(|_| ()).map_err(file("copy", from))
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let entries = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = entries.map_err(file("list", directory))?;
    paths.sort();
    Ok(paths)
}

/// Whether both programs run at all, before anybody relies on them.
fn try_out(ready: &Path) -> Result<(), FetchError> {
    run(
        "busybox",
        Command::new(ready.join("busybox/bin/busybox")).arg("true"),
    )?;
    let lib = ready.join("tcc/lib");
    let mut command = Command::new(lib.join("ld-linux-x86-64.so.2"));
    run(
        "tcc",
        command
            .arg("--library-path")
            .arg(&lib)
            .arg(ready.join("tcc/bin/tcc"))
            .arg("-v"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cached_is_taken_as_it_is() {
        let cache = tempfile::tempdir().unwrap();
        if std::env::consts::ARCH != "x86_64" {
            assert!(matches!(seeds(cache.path()), Err(FetchError::Machine(_))));
            return;
        }
        let home = cache.path().join("toolchain-x86_64");
        fs::create_dir(&home).unwrap();
        let expected = Toolchain::Seeds {
            busybox: home.join("busybox"),
            tcc: home.join("tcc"),
        };
        assert_eq!(seeds(cache.path()).unwrap(), expected);
    }

    #[test]
    fn programs_say_why_they_fail() {
        let failed = run(
            "sh",
            Command::new("sh").args(["-c", "echo first >&2; echo last >&2; echo >&2; exit 1"]),
        );
        assert_eq!(failed.unwrap_err().to_string(), "sh failed: last");
        let silent = run("sh", Command::new("sh").args(["-c", "exit 3"]));
        assert_eq!(silent.unwrap_err().to_string(), "sh failed: exit status: 3");
        let none = run("none", &mut Command::new("/nonexistent/none"));
        assert_eq!(none.unwrap_err().to_string(), "there is no none here");
    }

    #[test]
    fn packages_without_the_compiler_are_refused() {
        let work = tempfile::tempdir().unwrap();
        let tree = work.path().join("tree");
        fs::create_dir_all(tree.join("bin")).unwrap();
        fs::write(tree.join("bin/busybox"), "x").unwrap();
        let refused = assemble(&tree, &work.path().join("ready"));
        assert_eq!(refused.unwrap_err().to_string(), "the packages hold no tcc");
    }
}
