//! Packages by `apt-get`: the machine's sources, keys and proxies, but none of its state.

mod fetch;
mod resolve;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::architecture::Architecture;
use crate::error::{ImageError, at};
use crate::squashfs::last_lines;

pub(crate) use resolve::Resolved;

const PROGRAM: &str = "apt-get";

/// Where the machine keeps its lists of packages.
const MACHINE_LISTS: &str = "/var/lib/apt/lists";

/// What is not to be as the machine's configuration has it: whatever would be run, and what else would be installed.
/// Patterns in names are no names.
const CONFIGURATION: &str = r#"
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Cmd::Pattern-Only "true";
APT::Get::Assume-Yes "true";
Acquire::ForceHash "sha256";
Acquire::Retries "3";
Acquire::Languages "none";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
quiet "2";
"#;

/// `apt-get`, set up for one image. What it knows is in a scratch directory, its lists are the machine's or the
/// store's.
#[derive(Debug)]
pub(crate) struct Apt {
    scratch: PathBuf,
    architecture: Architecture,
    lists: PathBuf,
}

impl Apt {
    /// With the lists of the machine.
    pub(crate) fn of_machine(
        scratch: &Path,
        architecture: Architecture,
    ) -> Result<Self, ImageError> {
        Self::new(scratch, architecture, PathBuf::from(MACHINE_LISTS))
    }

    /// With lists in a directory of ours.
    pub(crate) fn with_lists(
        scratch: &Path,
        architecture: Architecture,
        lists: &Path,
    ) -> Result<Self, ImageError> {
        let apt = Self::new(scratch, architecture, lists.to_owned())?;
        let partial = lists.join("partial");
        fs::create_dir_all(&partial).map_err(at("make the directory", &partial))?;
        Ok(apt)
    }

    fn new(scratch: &Path, architecture: Architecture, lists: PathBuf) -> Result<Self, ImageError> {
        let scratch = scratch.join("apt");
        let apt = Self {
            scratch,
            architecture,
            lists,
        };
        for name in ["state", "cache/archives/partial"] {
            let path = apt.scratch.join(name);
            fs::create_dir_all(&path).map_err(at("make the directory", &path))?;
        }
        // Nothing is installed.
        for (name, text) in [("status", ""), ("apt.conf", CONFIGURATION)] {
            let path = apt.scratch.join(name);
            fs::write(&path, text).map_err(at("write", &path))?;
        }
        Ok(apt)
    }

    /// Whether there are any lists.
    pub(crate) fn has_lists(&self) -> bool {
        let Ok(mut entries) = fs::read_dir(&self.lists) else {
            return false;
        };
        entries.any(|entry| {
            let name = entry.map(|it| it.file_name()).unwrap_or_default();
            let name = name.to_string_lossy();
            name.ends_with("_Packages") || name.contains("_Packages.")
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        let mut option = |name: &str, value: &Path| {
            let mut text = std::ffi::OsString::from(name);
            text.push("=");
            text.push(value);
            command.arg("-o").arg(text);
        };
        option("Dir::State", &self.scratch.join("state"));
        option("Dir::State::status", &self.scratch.join("status"));
        option("Dir::State::lists", &self.lists);
        option("Dir::Cache", &self.scratch.join("cache"));
        option("APT::Architecture", Path::new(self.architecture.as_str()));
        command
            .arg("-c")
            .arg(self.scratch.join("apt.conf"))
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    fn log(&self) -> PathBuf {
        self.scratch.join("said")
    }

    fn log_file(&self) -> Result<File, ImageError> {
        let path = self.log();
        File::create(&path).map_err(at("make", &path))
    }

    /// Its errors, as one line, without what went before them.
    fn said(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let errors: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("E: "))
            .take(4)
            .collect();
        match errors.is_empty() {
            false => errors.join("; "),
            true => last_lines(&bytes),
        }
    }
}

/// For `map_err` of what starts it.
fn not_run(error: io::Error) -> ImageError {
    match error.kind() {
        io::ErrorKind::NotFound => ImageError::NoProgram {
            program: PROGRAM.to_owned(),
            package: "apt",
        },
        _ => at("run", Path::new(PROGRAM))(error),
    }
}
