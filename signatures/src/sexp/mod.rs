//! S-expressions as libgcrypt reads and prints them.
//!
//! Two representations of one value: the canonical one (`(1:a2:bc)`, RFC 9804 section 6.2), of which there is one per
//! value, and the advanced one, which people read and which Guix keeps in files, narinfos and exports. It departs from
//! the RFC: between quotation marks, bytes above 160 stand for themselves.

mod print;
mod read;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use read::SexpError;
use text::{escape, is_text, is_token, unescape};
pub use value::Sexp;
