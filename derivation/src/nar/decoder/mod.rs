//! Decoding as bytes come.

mod push;
mod state;

pub use push::Decoder;
