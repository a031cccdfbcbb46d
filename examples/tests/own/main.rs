//! Parts of an embedder's own keep their contracts, and are what docs/embedding.md shows.

mod builder;
mod datastore;
mod docs;
mod hook;
mod policy;
mod torn;
