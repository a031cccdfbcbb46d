//! Lists and packages from far away.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use data_encoding::HEXLOWER;

use super::{Apt, Resolved, not_run};
use crate::error::ImageError;
use crate::store::digest_file;

impl Apt {
    /// Fetches the lists anew. Returns what apt complained about, if there are some all the same.
    pub(crate) fn update(&self) -> Result<Option<String>, ImageError> {
        let status = self
            .command()
            .arg("update")
            .stdout(Stdio::null())
            .stderr(self.log_file()?)
            .status()
            .map_err(not_run)?;
        updated(status.success(), self.has_lists(), self.said())
    }

    /// Fetches those packages that `directory` has not, and sees that all are what they should be.
    pub(crate) fn fetch(
        &self,
        wanted: &[Resolved],
        directory: &Path,
        progress: &mut dyn FnMut(f32),
    ) -> Result<(), ImageError> {
        let missing: Vec<_> = wanted
            .iter()
            .filter(|it| !is_there(it, directory))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let not_fetched = |said| ImageError::NotFetched {
            what: "packages",
            said,
        };
        let versions = missing
            .iter()
            .map(|it| format!("{}={}", it.package.name, it.package.version));
        let mut child = self
            .command()
            .args(["-o", "APT::Status-Fd=1", "download", "--"])
            .args(versions)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(self.log_file()?)
            .spawn()
            .map_err(not_run)?;
        let output = child.stdout.take().expect("it is piped");
        let mut last = 0;
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { break };
            // Not more than there are hundredths.
            if let Some(share) = share(&line).filter(|share| (share * 100.0) as u32 > last) {
                last = (share * 100.0) as u32;
                progress(share);
            }
        }
        let status = child.wait().map_err(not_run)?;
        if !status.success() {
            return Err(not_fetched(self.said()));
        }
        match missing.iter().find(|it| !is_there(it, directory)) {
            None => Ok(()),
            Some(it) => Err(not_fetched(format!(
                "{} is not what the list says",
                it.file
            ))),
        }
    }
}

/// What came of fetching lists. apt is content if no server could be reached, and only warns.
fn updated(success: bool, has_lists: bool, said: String) -> Result<Option<String>, ImageError> {
    match (has_lists, success && !said.contains("Failed to fetch")) {
        (true, true) => Ok(None),
        (true, false) => Ok(Some(said)),
        (false, _) => Err(ImageError::NotFetched {
            what: "the lists of packages",
            said,
        }),
    }
}

/// Whether a package's file has the hash it should have.
pub(crate) fn is_there(wanted: &Resolved, directory: &Path) -> bool {
    digest_file(&directory.join(&wanted.file))
        .is_ok_and(|(_, sha256)| HEXLOWER.encode(&sha256) == wanted.package.sha256)
}

/// How much is done, of a line as `APT::Status-Fd` has them: `dlstatus:3:16.7:Retrieving file 3 of 9`.
fn share(line: &[u8]) -> Option<f32> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("dlstatus:")?;
    let percent: f32 = line.split(':').nth(1)?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lists_are_an_error_even_if_apt_is_content() {
        let said = |success, has_lists, said: &str| updated(success, has_lists, said.to_owned());
        assert_eq!(said(true, true, "nothing").unwrap(), None);
        assert!(said(true, true, "W: Failed to fetch x").unwrap().is_some());
        assert!(said(false, true, "no room").unwrap().is_some());
        assert!(said(true, false, "W: Failed to fetch x").is_err());
    }

    #[test]
    fn progress_is_read() {
        assert_eq!(
            share(b"dlstatus:3:50.0000:Retrieving file 3 of 3"),
            Some(0.5)
        );
        for none in [
            &b"pmstatus:x:50:y"[..],
            b"dlstatus:3",
            b"dlstatus:3:NaN:",
            b"dlstatus:1:900:",
            b"\xff",
        ] {
            assert_eq!(share(none), None);
        }
    }
}
