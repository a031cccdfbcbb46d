//! What happened on a disk, for whoever looks why something was lost.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::disk::{Disk, Node, ROOT};

/// Lines that are kept: some dozen rounds.
const LINES: usize = 50_000;

/// The last lines of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace(VecDeque<String>);

impl Trace {
    pub(super) fn note(&mut self, line: fmt::Arguments<'_>) {
        if self.0.len() == LINES {
            self.0.pop_front();
        }
        self.0.push_back(line.to_string());
    }
}

impl Disk {
    /// Writes what happened into `to/NAME.trace`, what there seems to be into `to/NAME.seen`, and what is on the disk for
    /// certain into `to/NAME.synced`.
    pub(super) fn tell(&self, to: &Path, name: &str) -> io::Result<()> {
        let lines: Vec<_> = self.trace.0.iter().map(String::as_str).collect();
        fs::write(to.join(format!("{name}.trace")), lines.join("\n"))?;
        self.copy(ROOT, &to.join(format!("{name}.seen")), false)?;
        self.copy(ROOT, &to.join(format!("{name}.synced")), true)
    }

    fn copy(&self, of: u64, to: &Path, synced: bool) -> io::Result<()> {
        match self.nodes.get(&of) {
            Some(Node::File(file)) if synced => return fs::write(to, file.synced()),
            Some(Node::File(file)) => return fs::write(to, &file.now),
            _ => fs::create_dir(to)?,
        }
        let names = self.names(of, synced).into_iter().flatten();
        for (name, number) in names {
            self.copy(*number, &to.join(name), synced)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::random::Random;

    #[test]
    fn it_tells_what_was_done_and_what_is_there() {
        let mut disk = Disk::new(Random::new(1));
        let file = disk.make(ROOT, OsStr::new("a"), false, 0o600).unwrap();
        disk.write(file, 0, b"synced").unwrap();
        disk.sync_file(file).unwrap();
        disk.sync_directory(ROOT).unwrap();
        disk.write(file, 6, b", and more").unwrap();
        let to = tempfile::tempdir().unwrap();
        disk.tell(to.path(), "disk").unwrap();
        let read = |name: &str| fs::read_to_string(to.path().join(name)).unwrap();
        assert_eq!(read("disk.seen/a"), "synced, and more");
        assert_eq!(read("disk.synced/a"), "synced");
        let trace = read("disk.trace");
        let lines: Vec<_> = trace.lines().collect();
        assert_eq!(lines[0], "make 1/a as 2");
        assert_eq!(lines[4], "write 10 bytes of 2 at 6");
    }
}
