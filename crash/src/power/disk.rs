//! What is on a disk, and what only seems to be.
//!
//! A file's bytes are on the disk once the file is synced, a name once its directory is. What is not synced when the
//! power goes is there or not, at random: each change of names as a whole, each sector of a database on its own. Other
//! files grow only by what was written from their end on, as with ext4, XFS and btrfs, whose sizes follow the data. A
//! sync that fails has lost what was to be synced, and the next one knows nothing of it, as on Linux.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::time::Duration;

use super::trace::Trace;
use crate::random::Random;

/// Bytes that are written as a whole.
const SECTOR: usize = 512;
/// The first directory.
pub(crate) const ROOT: u64 = 1;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Of a hundred writes, how many fail.
    pub(crate) writes: u64,
    /// Of a hundred syncs, how many fail.
    pub(crate) syncs: u64,
    /// How long each write and each sync takes.
    pub(crate) pause: Duration,
}

/// An error of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    NotFound,
    Exists,
    NotEmpty,
    Full,
    Io,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) now: Vec<u8>,
    synced: Vec<u8>,
    /// What was done since, in order.
    pending: Vec<Change>,
    /// Whether its sectors are written in any order.
    database: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    File(File),
    Directory(BTreeMap<OsString, u64>),
}

/// Names that are given or taken as a whole: a directory, a name, and what it names from then on.
type Names = Vec<(u64, OsString, Option<u64>)>;

/// A disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) nodes: BTreeMap<u64, Node>,
    pub(crate) modes: BTreeMap<u64, u16>,
    next: u64,
    /// Directories, as they are on the disk.
    synced: BTreeMap<u64, BTreeMap<OsString, u64>>,
    pending: Vec<Names>,
    pub(crate) faults: Faults,
    /// Bytes that there is room for.
    pub(crate) room: u64,
    used: u64,
    /// After so many writes and syncs the power goes.
    pub(crate) left: Option<u64>,
    /// The power is gone: nothing happens any more.
    pub(crate) dead: bool,
    /// So is whoever used it: what waits for an answer may have one.
    pub(crate) deserted: bool,
    /// Writes and syncs since it was made.
    pub(crate) steps: u64,
    pub(super) trace: Trace,
    random: Random,
}

impl Disk {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Directory(BTreeMap::new()))]),
            modes: BTreeMap::new(),
            next: ROOT + 1,
            synced: BTreeMap::from([(ROOT, BTreeMap::new())]),
            pending: Vec::new(),
            faults: Faults::default(),
            room: u64::MAX,
            used: 0,
            left: None,
            dead: false,
            deserted: false,
            steps: 0,
            trace: Trace::default(),
            random,
        }
    }

    /// Whether something that writes can be done; counts it.
    fn step(&mut self, what: fmt::Arguments<'_>, percent: u64) -> Result<(), Failed> {
        match &mut self.left {
            Some(0) => self.dead = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.steps += 1;
        let fails = self.dead || self.random.happens(percent);
        self.trace.note(format_args!(
            "{what}{}",
            if fails { ": failed" } else { "" }
        ));
        if fails {
            return Err(Failed::Io);
        }
        Ok(())
    }

    pub(crate) fn directory(&self, of: u64) -> Result<&BTreeMap<OsString, u64>, Failed> {
        match self.nodes.get(&of) {
            Some(Node::Directory(names)) if !self.dead => Ok(names),
            _ if self.dead => Err(Failed::Io),
            _ => Err(Failed::NotFound),
        }
    }

    pub(crate) fn find(&self, directory: u64, name: &OsStr) -> Result<u64, Failed> {
        let found = self.directory(directory)?.get(name).copied();
        found.ok_or(Failed::NotFound)
    }

    pub(crate) fn file(&mut self, of: u64) -> Result<&mut File, Failed> {
        match self.nodes.get_mut(&of) {
            Some(Node::File(file)) if !self.dead => Ok(file),
            _ => Err(Failed::Io),
        }
    }

    /// Makes a file or a directory.
    pub(crate) fn make(
        &mut self,
        directory: u64,
        name: &OsStr,
        is_directory: bool,
        mode: u16,
    ) -> Result<u64, Failed> {
        let number = self.next;
        self.step(
            format_args!("make {directory}/{} as {number}", name.display()),
            self.faults.writes,
        )?;
        if self.find(directory, name).is_ok() {
            return Err(Failed::Exists);
        }
        self.next += 1;
        let node = if is_directory {
            self.synced.insert(number, BTreeMap::new());
            Node::Directory(BTreeMap::new())
        } else {
            let database = name.to_string_lossy().contains(".db");
            Node::File(File {
                database,
                ..File::default()
            })
        };
        self.nodes.insert(number, node);
        self.modes.insert(number, mode);
        self.name(vec![(directory, name.to_owned(), Some(number))]);
        Ok(number)
    }

    pub(crate) fn link(&mut self, of: u64, to: u64, name: &OsStr) -> Result<(), Failed> {
        self.step(
            format_args!("link {of} as {to}/{}", name.display()),
            self.faults.writes,
        )?;
        if self.find(to, name).is_ok() {
            return Err(Failed::Exists);
        }
        self.name(vec![(to, name.to_owned(), Some(of))]);
        Ok(())
    }

    pub(crate) fn remove(&mut self, directory: u64, name: &OsStr) -> Result<(), Failed> {
        self.step(
            format_args!("remove {directory}/{}", name.display()),
            self.faults.writes,
        )?;
        let number = self.find(directory, name)?;
        match self.nodes.get(&number) {
            Some(Node::Directory(names)) if !names.is_empty() => return Err(Failed::NotEmpty),
            Some(Node::File(file)) => {
                self.used = self.used.saturating_sub(file.now.len() as u64);
            }
            _ => {}
        }
        self.name(vec![(directory, name.to_owned(), None)]);
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Failed> {
        let (old, new) = (from.1.display(), to.1.display());
        self.step(
            format_args!("rename {}/{old} to {}/{new}", from.0, to.0),
            self.faults.writes,
        )?;
        let number = self.find(from.0, from.1)?;
        self.name(vec![
            (from.0, from.1.to_owned(), None),
            (to.0, to.1.to_owned(), Some(number)),
        ]);
        Ok(())
    }

    fn name(&mut self, names: Names) {
        for (directory, name, number) in &names {
            if let Some(Node::Directory(now)) = self.nodes.get_mut(directory) {
                set(now, name, *number);
            }
        }
        self.pending.push(names);
    }

    pub(crate) fn write(&mut self, of: u64, offset: usize, bytes: &[u8]) -> Result<(), Failed> {
        self.step(
            format_args!("write {} bytes of {of} at {offset}", bytes.len()),
            self.faults.writes,
        )?;
        let before = self.file(of)?.now.len();
        let grows = (offset + bytes.len()).saturating_sub(before) as u64;
        self.take(grows)?;
        let file = self.file(of)?;
        put(&mut file.now, offset, bytes);
        file.pending.push(Change::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn take(&mut self, bytes: u64) -> Result<(), Failed> {
        if bytes > 0 && self.used + bytes > self.room {
            self.trace.note(format_args!("there is no room"));
            return Err(Failed::Full);
        }
        self.used += bytes;
        Ok(())
    }

    pub(crate) fn set_length(&mut self, of: u64, length: usize) -> Result<(), Failed> {
        self.step(
            format_args!("make {of} {length} bytes long"),
            self.faults.writes,
        )?;
        let before = self.file(of)?.now.len();
        self.take(length.saturating_sub(before) as u64)?;
        self.used = self
            .used
            .saturating_sub(before.saturating_sub(length) as u64);
        let file = self.file(of)?;
        file.now.resize(length, 0);
        file.pending.push(Change::Length(length));
        Ok(())
    }

    pub(crate) fn sync_file(&mut self, of: u64) -> Result<(), Failed> {
        let failed = self.step(format_args!("sync {of}"), self.faults.syncs);
        if self.dead {
            return Err(Failed::Io);
        }
        let file = self.file(of)?;
        let pending = std::mem::take(&mut file.pending);
        failed?;
        let file = self.file(of)?;
        for change in pending {
            apply(&mut file.synced, change);
        }
        Ok(())
    }

    pub(crate) fn sync_directory(&mut self, of: u64) -> Result<(), Failed> {
        self.step(format_args!("sync names of {of}"), self.faults.syncs)?;
        let wanted = self.pending.iter();
        let wanted = wanted.map(|names| names.iter().any(|(directory, ..)| *directory == of));
        self.keep_some(wanted.collect());
        Ok(())
    }

    /// Brings these changes of names to the disk, and those before them that they rely on: a journal has them in order.
    fn keep_some(&mut self, mut wanted: Vec<bool>) {
        let pending = std::mem::take(&mut self.pending);
        for later in (0..pending.len()).rev() {
            if !wanted[later] {
                continue;
            }
            for earlier in 0..later {
                let same = |(directory, name, _): &(u64, OsString, _)| {
                    let mut names = pending[later].iter();
                    names.any(|other| (other.0, &other.1) == (*directory, name))
                };
                wanted[earlier] |= pending[earlier].iter().any(same);
            }
        }
        for (names, wanted) in pending.into_iter().zip(wanted) {
            if wanted {
                self.keep(names);
            } else {
                self.pending.push(names);
            }
        }
    }

    /// From now on these names are on the disk.
    fn keep(&mut self, names: Names) {
        for (directory, name, number) in names {
            set(self.synced.entry(directory).or_default(), &name, number);
        }
    }

    /// What a directory holds, as it seems or as it is on the disk.
    pub(super) fn names(&self, of: u64, synced: bool) -> Option<&BTreeMap<OsString, u64>> {
        match self.nodes.get(&of)? {
            Node::Directory(_) if synced => self.synced.get(&of),
            Node::Directory(names) => Some(names),
            Node::File(_) => None,
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// The disk as it is found when the power is back.
    pub(crate) fn after_cut(mut self) -> Self {
        let mut random = self.random.clone();
        self.trace.note(format_args!("the power was cut"));
        let wanted = self.pending.iter().map(|_| random.happens(50)).collect();
        self.keep_some(wanted);
        for names in std::mem::take(&mut self.pending) {
            self.trace.note(format_args!("lost: {names:?}"));
        }
        // Those that have a name still.
        let (mut reached, mut next) = (BTreeSet::new(), vec![ROOT]);
        while let Some(number) = next.pop() {
            if reached.insert(number)
                && let Some(Node::Directory(_)) = self.nodes.get(&number)
            {
                next.extend(
                    self.synced
                        .get(&number)
                        .into_iter()
                        .flat_map(BTreeMap::values),
                );
            }
        }
        self.nodes.retain(|number, _| reached.contains(number));
        self.synced.retain(|number, _| reached.contains(number));
        self.used = 0;
        for (number, node) in &mut self.nodes {
            match node {
                Node::Directory(names) => {
                    names.clone_from(&self.synced[number]);
                }
                Node::File(file) => {
                    let (before, kept) = (file.pending.len(), file.cut(&mut random));
                    if before > 0 {
                        let trace = &mut self.trace;
                        trace.note(format_args!(
                            "of {number} {kept} of {before} writes are kept"
                        ));
                    }
                    self.used += file.now.len() as u64;
                }
            }
        }
        Self {
            faults: Faults::default(),
            room: u64::MAX,
            left: None,
            dead: false,
            deserted: false,
            random,
            ..self
        }
    }
}

impl File {
    /// How many of its writes are kept, at least in part.
    fn cut(&mut self, random: &mut Random) -> usize {
        let mut kept = 0;
        // Often all or nothing, as if there had been time enough or none.
        let percent = [0, 50, 90, 100][usize::try_from(random.below(4)).unwrap_or(0)];
        for change in std::mem::take(&mut self.pending) {
            let Change::Write(offset, bytes) = change else {
                if random.happens(percent) {
                    apply(&mut self.synced, change);
                    kept += 1;
                }
                continue;
            };
            let mut some = false;
            for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                let at = offset + number * SECTOR;
                let behind = at > self.synced.len();
                if random.happens(percent) && (self.database || !behind) {
                    put(&mut self.synced, at, sector);
                    some = true;
                }
            }
            kept += usize::from(some);
        }
        self.now.clone_from(&self.synced);
        kept
    }

    pub(super) fn synced(&self) -> &[u8] {
        &self.synced
    }
}

fn set(names: &mut BTreeMap<OsString, u64>, name: &OsStr, number: Option<u64>) {
    match number {
        Some(number) => names.insert(name.to_owned(), number),
        None => names.remove(name),
    };
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    match change {
        Change::Write(offset, new) => put(bytes, offset, &new),
        Change::Length(length) => bytes.resize(length, 0),
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[test]
    fn what_is_synced_stays_and_nothing_else_has_to() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..100 {
            let mut disk = Disk::new(Random::new(seed));
            let file = disk.make(ROOT, name("a"), false, 0o600).unwrap();
            disk.write(file, 0, b"synced").unwrap();
            disk.sync_file(file).unwrap();
            disk.sync_directory(ROOT).unwrap();
            disk.write(file, 6, b", and more").unwrap();
            disk.rename((ROOT, name("a")), (ROOT, name("b"))).unwrap();
            let mut disk = disk.after_cut();
            let found = disk
                .find(ROOT, name("a"))
                .or_else(|_| disk.find(ROOT, name("b")));
            let now = disk.file(found.unwrap()).unwrap().now.clone();
            assert!(now.starts_with(b"synced"), "{now:?}");
            kept += usize::from(now.len() > 6);
            lost += usize::from(disk.find(ROOT, name("a")).is_ok());
        }
        assert!((10..90).contains(&kept) && (10..90).contains(&lost));
    }

    #[test]
    fn a_name_is_lost_whose_directory_was_not_synced() {
        let lost = (0..100).filter(|seed| {
            let mut disk = Disk::new(Random::new(*seed));
            let file = disk.make(ROOT, name("a"), false, 0o600).unwrap();
            disk.sync_file(file).unwrap();
            disk.after_cut().find(ROOT, name("a")).is_err()
        });
        assert!((10..90).contains(&lost.count()));
    }

    #[test]
    fn a_name_that_was_taken_away_does_not_come_back() {
        for seed in 0..50 {
            let mut disk = Disk::new(Random::new(seed));
            let to = disk.make(ROOT, name("to"), true, 0o700).unwrap();
            disk.sync_directory(ROOT).unwrap();
            disk.make(ROOT, name("a"), false, 0o600).unwrap();
            disk.rename((ROOT, name("a")), (to, name("b"))).unwrap();
            disk.sync_directory(to).unwrap();
            let disk = disk.after_cut();
            assert!(disk.find(to, name("b")).is_ok() && disk.find(ROOT, name("a")).is_err());
        }
    }

    #[test]
    fn a_sync_that_failed_has_lost_what_it_was_for() {
        let mut disk = Disk::new(Random::new(1));
        let file = disk.make(ROOT, name("a"), false, 0o600).unwrap();
        disk.sync_directory(ROOT).unwrap();
        disk.write(file, 0, b"bytes").unwrap();
        disk.faults.syncs = 100;
        assert_eq!(disk.sync_file(file), Err(Failed::Io));
        disk.faults.syncs = 0;
        disk.sync_file(file).unwrap();
        assert_eq!(disk.file(file).unwrap().now, b"bytes");
        assert_eq!(disk.after_cut().file(file).unwrap().now, b"");
    }

    #[test]
    fn a_full_disk_takes_what_does_not_grow() {
        let mut disk = Disk::new(Random::new(1));
        let file = disk.make(ROOT, name("a"), false, 0o600).unwrap();
        disk.write(file, 0, b"12345").unwrap();
        disk.room = 5;
        assert_eq!(disk.write(file, 4, b"67"), Err(Failed::Full));
        disk.write(file, 0, b"54321").unwrap();
        disk.remove(ROOT, name("a")).unwrap();
        assert_eq!(disk.used(), 0);
    }
}
