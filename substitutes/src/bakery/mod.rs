//! Nars in other compressions than the one in which they lie in the farm.
//!
//! A nar is compressed anew when somebody asks for it, once, on one of few threads, at full speed into a file of a
//! directory of bounded size. Who asked gets the bytes as the file grows, and so does whoever asks meanwhile: a slow
//! client holds up nobody. Once the file is whole it is served as it lies, with its size, ranges and `ETag`; what was
//! not asked for the longest goes when room is needed.

mod growing;
mod job;
mod oven;
mod shelf;

pub use oven::Bakery;
pub(crate) use oven::{Baked, Loaf};
