//! What the scripts of packages would have done, as far as builds need it. No script is run: they expect to be root,
//! in the image, on a machine that can run its programs.

mod files;
mod links;
mod users;

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{ImageError, at};
use crate::manifest::Package;
use crate::place::Place;
use crate::recipe::Recipe;
use crate::spool::Spool;
use crate::tree::{Attributes, Node, Tree};

/// Bytes of a file of a package that is read here.
const MOST_BYTES: u64 = 8 << 20;

/// The root that becomes of unpacked packages.
#[derive(Debug)]
pub(crate) struct Root<'a> {
    pub tree: &'a mut Tree,
    pub spool: &'a mut Spool,
    /// For errors.
    pub spooled: &'a Path,
    /// The latest date of a file.
    pub clamp: u64,
}

impl Root<'_> {
    /// Makes of it what a machine can work with.
    pub(crate) fn furnish(
        &mut self,
        recipe: &Recipe,
        packages: &[Package],
    ) -> Result<(), ImageError> {
        users::add(self)?;
        files::add(self)?;
        links::add(self);
        let packages = serde_json::json!({
            "format": 1,
            "architecture": recipe.architecture.as_str(),
            "packages": packages,
        });
        let text = format!("{packages:#}\n");
        self.put("/etc/grange/image.json", text.as_bytes(), 0o644)?;
        for file in &recipe.files {
            let mut source = File::open(&file.source).map_err(at("read", &file.source))?;
            let content = self.spool.add(&mut source);
            let content = content.map_err(at("read", &file.source))?;
            let attributes = Attributes {
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
                mtime: u64::MAX,
            };
            let place = place(&file.path)?;
            self.tree.put(place, Node::File(content), attributes);
        }
        self.tree.complete().map_err(|place| ImageError::Path {
            path: place.to_string(),
            what: "it is in what is no directory",
        })
    }

    /// Puts a file of root's.
    fn put(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<(), ImageError> {
        self.put_of(path, bytes, mode, 0)
    }

    /// Puts a file of root and a group.
    fn put_of(&mut self, path: &str, bytes: &[u8], mode: u32, gid: u32) -> Result<(), ImageError> {
        let content = self.spool.add_bytes(bytes);
        let content = content.map_err(at("write", self.spooled))?;
        let attributes = Attributes {
            gid,
            ..Attributes::root(mode)
        };
        self.tree.put(place(path)?, Node::File(content), attributes);
        Ok(())
    }

    fn directory(&mut self, path: &str, mode: u32, owner: (u32, u32)) -> Result<(), ImageError> {
        let attributes = Attributes {
            uid: owner.0,
            gid: owner.1,
            ..Attributes::root(mode)
        };
        self.tree.put(place(path)?, Node::Directory, attributes);
        Ok(())
    }

    /// The bytes of a file of a package; none if there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ImageError> {
        let read = |content| self.spool.read(content, MOST_BYTES);
        let content = self.tree.file(path).map(read);
        content
            .transpose()
            .map_err(|error: io::Error| ImageError::BadPackage {
                package: format!("with {path}"),
                what: error.to_string(),
            })
    }
}

fn place(path: &str) -> Result<Place, ImageError> {
    Place::absolute(path).map_err(|what| ImageError::Path {
        path: path.to_owned(),
        what,
    })
}
