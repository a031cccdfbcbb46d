//! A tree of files that will be the content of a disk: names and attributes in memory, contents in a spool.

use std::collections::BTreeMap;

use crate::place::{MERGED, Place};
use crate::spool::Content;

/// Who a file belongs to, and what they may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Permissions, without the type.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// In seconds since 1970; whatever is later than the latest date of a disk becomes that date.
    pub mtime: u64,
}

impl Attributes {
    /// Of a file of root's, with the latest date.
    pub(crate) const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime: u64::MAX,
        }
    }
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Directory,
    File(Content),
    Link(Vec<u8>),
}

/// A node, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub node: Node,
    pub attributes: Attributes,
    /// The package that it comes from, by its place in a list; none if it was made here.
    pub package: Option<usize>,
}

/// The tree. It has no entry for its root, which is always a directory of root's with mode 755.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<Place, Entry>,
}

impl Tree {
    /// A tree where `/bin` and the like lead into `/usr`.
    pub(crate) fn merged() -> Self {
        let mut tree = Self::default();
        for name in MERGED.iter().filter(|name| !name.contains("32")) {
            let target = format!("usr/{name}");
            tree.link_literally(name, &target);
            let at = Place::relative(target.as_bytes()).expect("it is plain");
            tree.put(at, Node::Directory, Attributes::root(0o755));
        }
        tree
    }

    /// `/bin` itself, which no `Place` of an archive can be.
    fn link_literally(&mut self, name: &str, target: &str) {
        let entry = Entry {
            node: Node::Link(target.as_bytes().to_vec()),
            attributes: Attributes::root(0o777),
            package: None,
        };
        self.entries.insert(Place::top(name), entry);
    }

    /// Puts a node of ours at a place, whatever was there.
    pub(crate) fn put(&mut self, place: Place, node: Node, attributes: Attributes) {
        let entry = Entry {
            node,
            attributes,
            package: None,
        };
        self.entries.insert(place, entry);
    }

    /// Puts an entry at a place and returns what was there.
    pub(crate) fn replace(&mut self, place: Place, entry: Entry) -> Option<Entry> {
        self.entries.insert(place, entry)
    }

    /// What is at a place, links not followed.
    pub(crate) fn get(&self, place: &Place) -> Option<&Entry> {
        self.entries.get(place)
    }

    /// The file at an absolute path, links to files of the same directory followed.
    pub(crate) fn file(&self, path: &str) -> Option<Content> {
        match self.get(&Place::absolute(path).ok()?)?.node {
            Node::File(content) => Some(content),
            Node::Directory | Node::Link(_) => None,
        }
    }

    /// Whether there is anything at an absolute path.
    pub(crate) fn has(&self, path: &str) -> bool {
        Place::absolute(path).is_ok_and(|place| self.entries.contains_key(&place))
    }

    /// All entries, each directory before what is in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Entry)> {
        self.entries.iter()
    }

    /// Makes the directories that are missing. If something is in what is no directory, that place is returned.
    pub(crate) fn complete(&mut self) -> Result<(), Place> {
        let mut missing = Vec::new();
        for place in self.entries.keys() {
            let mut above = place.parent();
            while let Some(parent) = above.filter(|it| *it != Place::root()) {
                match self.entries.get(&parent).map(|entry| &entry.node) {
                    Some(Node::Directory) => break,
                    Some(_) => return Err(place.clone()),
                    None => missing.push(parent.clone()),
                }
                above = parent.parent();
            }
        }
        for place in missing {
            self.put(place, Node::Directory, Attributes::root(0o755));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Place {
        Place::relative(path.as_bytes()).unwrap()
    }

    #[test]
    fn missing_directories_are_made() {
        let mut tree = Tree::default();
        tree.put(
            at("a/b/c"),
            Node::Link(b"x".to_vec()),
            Attributes::root(0o777),
        );
        tree.complete().unwrap();
        let places: Vec<_> = tree.iter().map(|(place, _)| place.to_string()).collect();
        assert_eq!(places, ["/a", "/a/b", "/a/b/c"]);
    }

    #[test]
    fn nothing_is_in_a_link() {
        let mut tree = Tree::default();
        tree.put(
            at("a"),
            Node::Link(b"/etc".to_vec()),
            Attributes::root(0o777),
        );
        tree.put(at("a/b/c"), Node::Directory, Attributes::root(0o755));
        assert_eq!(tree.complete(), Err(at("a/b/c")));
    }

    #[test]
    fn usr_is_merged() {
        let mut tree = Tree::merged();
        tree.put(
            at("./bin/sh"),
            Node::Link(b"dash".to_vec()),
            Attributes::root(0o777),
        );
        tree.complete().unwrap();
        assert!(tree.has("/usr/bin/sh"));
        assert!(tree.has("/bin/sh"));
        let links = tree
            .iter()
            .filter(|(_, entry)| matches!(&entry.node, Node::Link(to) if to == b"usr/bin"));
        assert_eq!(links.count(), 1);
    }
}
