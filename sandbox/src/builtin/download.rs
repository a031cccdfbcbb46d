//! `builtin:download` of Guix and `builtin:fetchurl` of Nix.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use grange_derivation::{Derivation, StorePath};
use grange_interfaces::{BuildError, Log};
use grange_model::{FailureKind, SetupProblem};

use super::http::{DownloadError, Downloader, say};
use crate::attempt::Attempt;
use crate::output::{cannot, failed};
use crate::scheme::{self, Datum};

/// What a derivation asks to be downloaded.
struct Wanted {
    urls: Vec<String>,
    executable: bool,
}

/// Guix's: `url` is a string or a list of strings, as Scheme writes them; `mirrors` is a file that says what
/// `mirror://NAME/…` stands for. `content-addressed-mirrors` and `disarchive-mirrors` are programs in Scheme, which are not
/// run here: they are for when all URLs are dead.
pub(super) async fn guix(
    attempt: &Attempt<'_>,
    file: &Path,
    log: &mut Log,
) -> Result<(), BuildError> {
    let derivation = &attempt.job.derivation;
    let datum = scheme::read(required(derivation, "url")?).map_err(|what| bad("url", &what))?;
    let mut urls = Vec::new();
    for url in
        texts(datum).ok_or_else(|| bad("url", "it is neither a string nor a list of strings"))?
    {
        match url.strip_prefix("mirror://") {
            Some(rest) => urls.extend(mirrors(attempt, rest)?),
            None => urls.push(url),
        }
    }
    let executable = derivation
        .env("executable")
        .is_some_and(|value| value == b"1");
    download(attempt, Wanted { urls, executable }, file, log).await
}

/// Nix's: `url` as it is.
pub(super) async fn nix(
    attempt: &Attempt<'_>,
    file: &Path,
    log: &mut Log,
) -> Result<(), BuildError> {
    let derivation = &attempt.job.derivation;
    if derivation.env("unpack").is_some_and(|value| value == b"1") {
        let message = "builtin:fetchurl with `unpack` is not supported here".to_owned();
        return Err(BuildError::Setup {
            problem: SetupProblem::Unsupported,
            message,
        });
    }
    let url = std::str::from_utf8(required(derivation, "url")?)
        .map_err(|_| bad("url", "it is not UTF-8"))?;
    let executable = derivation
        .env("executable")
        .is_some_and(|value| value == b"1");
    download(
        attempt,
        Wanted {
            urls: vec![url.to_owned()],
            executable,
        },
        file,
        log,
    )
    .await
}

async fn download(
    attempt: &Attempt<'_>,
    wanted: Wanted,
    file: &Path,
    log: &mut Log,
) -> Result<(), BuildError> {
    let certificates = attempt.shared.config.certificates.as_deref();
    let downloader =
        Downloader::new(certificates).map_err(|error| cannot("prepare a download", &error))?;
    let mut why = "there is no URL".to_owned();
    for url in &wanted.urls {
        match downloader.get(url, file, log).await {
            Ok(()) => {
                let mode = if wanted.executable { 0o755 } else { 0o644 };
                let set = fs::set_permissions(file, fs::Permissions::from_mode(mode));
                return set.map_err(|error| cannot("make the file executable", &error));
            }
            Err(DownloadError::Write(error)) => return Err(cannot("write the file", &error)),
            Err(error) => {
                why = error.to_string();
                say(log, format!("{url}: {why}")).await;
            }
        }
    }
    let message = format!(
        "it could not be downloaded from any of {} places; the last: {why}",
        wanted.urls.len()
    );
    Err(failed(FailureKind::Other, message))
}

/// What `mirror://NAME/PATH` stands for.
fn mirrors(attempt: &Attempt<'_>, rest: &str) -> Result<Vec<String>, BuildError> {
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    let derivation = &attempt.job.derivation;
    let list = StorePath::parse(&derivation.store, required(derivation, "mirrors")?)
        .map_err(|error| bad("mirrors", &error.to_string()))?;
    let list = attempt
        .shared
        .store
        .real_path(&list)
        .filter(|_| attempt.job.inputs.contains(&list));
    let list = list.ok_or_else(|| bad("mirrors", "it is not an input"))?;
    let text = fs::read(list).map_err(|error| cannot("read the list of mirrors", &error))?;
    let Datum::List(entries) = scheme::read(&text).map_err(|what| bad("mirrors", &what))? else {
        return Err(bad("mirrors", "it is not a list"));
    };
    let bases = entries.into_iter().find_map(|entry| match entry {
        Datum::List(items) => match items.split_first() {
            Some((Datum::Symbol(symbol), urls)) if symbol == name => {
                texts(Datum::List(urls.to_vec()))
            }
            _ => None,
        },
        _ => None,
    });
    let bases = bases.ok_or_else(|| bad("url", &format!("there are no mirrors of {name}")))?;
    Ok(bases
        .into_iter()
        .map(|base| format!("{}/{path}", base.trim_end_matches('/')))
        .collect())
}

fn texts(datum: Datum) -> Option<Vec<String>> {
    let text = |datum| match datum {
        Datum::Text(text) => Some(text),
        _ => None,
    };
    match datum {
        Datum::List(items) => items.into_iter().map(text).collect(),
        other => text(other).map(|text| vec![text]),
    }
}

pub(super) fn required<'a>(derivation: &'a Derivation, name: &str) -> Result<&'a [u8], BuildError> {
    derivation
        .env(name)
        .ok_or_else(|| bad(name, "it is not set"))
}

pub(super) fn bad(name: &str, what: &str) -> BuildError {
    failed(
        FailureKind::Other,
        format!("the derivation's variable `{name}` cannot be used: {what}"),
    )
}
