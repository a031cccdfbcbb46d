//! Keys whose rotation is killed, and done again.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, ensure};
use grange_fail_points::Point;

use crate::process::program;

/// Points that only a rotation passes.
pub(crate) const ROTATIONS: [Point; 2] = [Point::KeyKept, Point::KeyReplaced];

/// In which of the two steps it dies, where, and which time there.
const DEATHS: [(bool, Point, u32); 8] = [
    (false, Point::KeyMade, 1),
    (false, Point::KeyLinked, 1),
    (false, Point::KeySecretWritten, 1),
    (false, Point::KeyLinked, 2),
    (false, Point::KeyUnlinked, 2),
    (true, Point::KeyKept, 1),
    (true, Point::KeyReplaced, 1),
    (true, Point::KeyReplaced, 2),
];

/// Kills at each of them; how often.
pub(crate) fn run(programs: &Path, directory: &Path) -> anyhow::Result<usize> {
    for (finish, point, times) in DEATHS {
        let place = directory.join("rotation");
        fs::create_dir(&place)?;
        let rotation = Rotation {
            program: programs.join("grange"),
            file: place.join("keys/guix.sec"),
            control: place.join("dies"),
        };
        rotation
            .run(finish, point, times)
            .with_context(|| format!("a rotation at {} the time {times}", point.name()))?;
        fs::remove_dir_all(&place)?;
    }
    Ok(DEATHS.len())
}

struct Rotation {
    program: PathBuf,
    /// The key.
    file: PathBuf,
    /// Says where it dies.
    control: PathBuf,
}

impl Rotation {
    fn run(&self, finish: bool, point: Point, times: u32) -> anyhow::Result<()> {
        fs::create_dir(self.directory()?)?;
        self.succeeds(&["generate"])?;
        let former = self.public("guix")?;
        if !finish {
            self.dies(&["rotate"], point, times)?;
            ensure!(self.public("guix")? == former, "the key is another one");
        }
        let again = self.key(&["rotate"])?;
        // It was killed when all was done.
        let error = String::from_utf8_lossy(&again.stderr);
        let is_made = again.status.success() || !finish && self.public("guix.next").is_ok();
        ensure!(is_made, "there is no next key: {error}");
        let next = self.public("guix.next")?;
        if finish {
            self.dies(&["rotate", "--finish"], point, times)?;
        }
        let again = self.key(&["rotate", "--finish"])?;
        ensure!(
            self.public("guix")? == next && self.public("guix.old")? == former,
            "the keys are not where they belong: {}",
            String::from_utf8_lossy(&again.stderr)
        );
        let names = fs::read_dir(self.directory()?)?.count();
        ensure!(names == 4, "there are {names} files instead of 4");
        let over = self.key(&["generate"])?;
        ensure!(!over.status.success(), "a key was written over");
        ensure!(self.public("guix")? == next, "a key was written over");
        Ok(())
    }

    fn directory(&self) -> anyhow::Result<&Path> {
        self.file.parent().context("it lies in a directory")
    }

    fn key(&self, words: &[&str]) -> anyhow::Result<Output> {
        let mut command = program(&self.program);
        command.env("GRANGE_FAIL_POINT", &self.control);
        command.arg("key").args(words).arg(&self.file);
        Ok(command.output()?)
    }

    fn succeeds(&self, words: &[&str]) -> anyhow::Result<()> {
        let output = self.key(words)?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{words:?}: {error}");
        Ok(())
    }

    fn dies(&self, words: &[&str], point: Point, times: u32) -> anyhow::Result<()> {
        fs::write(&self.control, format!("{} {times}", point.name()))?;
        let status = self.key(words)?.status;
        let came = !self.control.exists();
        ensure!(status.signal() == Some(9) && came, "it ended with {status}");
        Ok(())
    }

    /// The public part of a secret key.
    fn shown(&self, name: &str) -> anyhow::Result<String> {
        let mut command = program(&self.program);
        let file = self.file.with_file_name(format!("{name}.sec"));
        let output = command.args(["key", "show"]).arg(file).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {error}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// The same, which must be what its own file says.
    fn public(&self, name: &str) -> anyhow::Result<String> {
        let shown = self.shown(name)?;
        let file = self.file.with_file_name(format!("{name}.pub"));
        let public = fs::read_to_string(&file).context(format!("{name}.pub"))?;
        ensure!(public.trim() == shown, "{name}.pub is another key's");
        Ok(shown)
    }
}
