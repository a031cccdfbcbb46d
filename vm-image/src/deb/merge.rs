//! The files of many packages in one tree.

use std::io::{self, Read};
use std::path::Path;

use tar::{Entry as TarEntry, EntryType};

use super::{Control, Data};
use crate::error::ImageError;
use crate::place::Place;
use crate::spool::Spool;
use crate::tree::{Attributes, Entry, Node, Tree};

/// Entries that all packages together may have: some 200 bytes of memory each.
const MOST_ENTRIES: usize = 4_000_000;

/// Packages being put together.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    pub tree: Tree,
    pub spool: &'a mut Spool,
    packages: Vec<Control>,
    entries: usize,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(tree: Tree, spool: &'a mut Spool) -> Self {
        Self {
            tree,
            spool,
            packages: Vec::new(),
            entries: 0,
        }
    }

    /// Adds those files of a package that `wanted` says.
    pub(crate) fn add(
        &mut self,
        path: &Path,
        wanted: &dyn Fn(&Place) -> bool,
    ) -> Result<(), ImageError> {
        let (control, data) = super::open(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let result = self.add_data(control, data, wanted);
        result.map_err(|problem| match problem {
            Problem::Image(error) => error,
            Problem::Bad(what) => ImageError::BadPackage {
                package: name.into_owned(),
                what,
            },
        })
    }

    fn add_data(
        &mut self,
        control: Control,
        mut data: Data,
        wanted: &dyn Fn(&Place) -> bool,
    ) -> Result<(), Problem> {
        self.packages.push(control);
        for entry in data.entries()? {
            let mut entry = entry?;
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(Problem::Bad("it has too many files".to_owned()));
            }
            let place = place_of(&entry.path_bytes())?;
            if place == Place::root() || !wanted(&place) {
                continue;
            }
            let Some(node) = self.node(&mut entry, &place)? else {
                continue;
            };
            self.insert(place, node)?;
        }
        Ok(())
    }

    /// What an entry of an archive is, its content taken in; none if it has nothing to say.
    fn node(
        &mut self,
        entry: &mut TarEntry<'_, impl Read>,
        place: &Place,
    ) -> Result<Option<Entry>, Problem> {
        let header = entry.header();
        let number = |what: &str, value: io::Result<u64>| {
            let value = value.ok().and_then(|it| u32::try_from(it).ok());
            value.ok_or_else(|| Problem::Bad(format!("{place} has no {what}")))
        };
        let mut attributes = Attributes {
            mode: header.mode()? & 0o7777,
            uid: number("owner", header.uid())?,
            gid: number("group", header.gid())?,
            mtime: header.mtime()?,
        };
        let node = match header.entry_type() {
            EntryType::Directory => Node::Directory,
            EntryType::Regular | EntryType::Continuous => Node::File(self.spool.add(entry)?),
            // Such as `/bin`, of a package that knows of the merge: it is there already.
            EntryType::Symlink if place.is_merged() => return Ok(None),
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let ends = |it: &u8| it.is_ascii_whitespace() || *it == b'\\';
                // What definitions for a squashfs can hold.
                let plain = !target.iter().any(|it| matches!(it, 0 | b'\n'))
                    && !target.first().is_none_or(|it| it.is_ascii_whitespace())
                    && !target.last().is_none_or(ends);
                if !plain || target.len() > 4000 {
                    return Err(Problem::Bad(format!(
                        "{place} is a link to nothing that can be"
                    )));
                }
                Node::Link(target)
            }
            // A second name of a file that came before: the same content again, which a squashfs has once.
            EntryType::Link => {
                let target = place_of(&entry.link_name_bytes().unwrap_or_default())?;
                let Some(first) = self.tree.get(&target) else {
                    return Err(Problem::Bad(format!(
                        "{place} is a link to {target}, which is not there"
                    )));
                };
                attributes = first.attributes;
                first.node.clone()
            }
            EntryType::XGlobalHeader => return Ok(None),
            _ => {
                return Err(Problem::Bad(format!(
                    "{place} is no file, directory or link"
                )));
            }
        };
        let package = Some(self.packages.len() - 1);
        Ok(Some(Entry {
            node,
            attributes,
            package,
        }))
    }

    fn insert(&mut self, place: Place, entry: Entry) -> Result<(), Problem> {
        let Some(before) = self.tree.get(&place) else {
            self.tree.replace(place, entry);
            return Ok(());
        };
        let (new, old) = (entry.package, before.package);
        if self.same(before, &entry)? || self.replaces(old, new) {
            return Ok(());
        }
        if new == old || self.replaces(new, old) {
            self.tree.replace(place, entry);
            return Ok(());
        }
        Err(Problem::Image(ImageError::Conflict {
            path: place.to_string(),
            first: self.name(old),
            second: self.name(new),
        }))
    }

    /// Whether it does not matter which one is there. Directories are shared, a link of ours to one is as good as it.
    fn same(&self, one: &Entry, other: &Entry) -> Result<bool, Problem> {
        Ok(match (&one.node, &other.node) {
            (Node::Directory, Node::Directory) => true,
            (Node::Link(one), Node::Link(other)) => one == other,
            (Node::File(one), Node::File(other)) if one.size == other.size => {
                // One after the other: both are in one file, with one position.
                self.spool.digest(*one)? == self.spool.digest(*other)?
            }
            _ => false,
        })
    }

    fn replaces(&self, one: Option<usize>, other: Option<usize>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => {
                let other = &self.packages[other].package;
                self.packages[one].replaces.contains(other)
            }
            _ => false,
        }
    }

    fn name(&self, package: Option<usize>) -> String {
        package.map_or_else(
            || "Grange".to_owned(),
            |it| self.packages[it].package.clone(),
        )
    }

    /// The tree, with all its directories.
    pub(crate) fn finish(mut self) -> Result<Tree, ImageError> {
        self.tree
            .complete()
            .map_err(|place| ImageError::BadPackage {
                package: self.name(self.tree.get(&place).and_then(|entry| entry.package)),
                what: format!("{place} is in what is no directory"),
            })?;
        Ok(self.tree)
    }
}

enum Problem {
    Bad(String),
    Image(ImageError),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Bad(error.to_string())
    }
}

fn place_of(path: &[u8]) -> Result<Place, Problem> {
    Place::relative(path).map_err(|what| {
        let path = String::from_utf8_lossy(path);
        Problem::Bad(format!("the path {path:?} in it cannot be: {what}"))
    })
}
