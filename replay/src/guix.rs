//! All of Guix.

use crate::graph::Graph;

/// What it was made from stands in `data/README.md`.
const GUIX: &[u8] = include_bytes!("../data/guix-1.5.0.graph.zst");

impl Graph {
    /// Every package of GNU Guix 1.5.0 for x86_64-linux, with all that it needs: 71,764 derivations, of which 10,078 are
    /// needed by no other.
    #[must_use]
    pub fn guix() -> Self {
        let text = zstd::decode_all(GUIX).expect("it was compressed with zstd");
        let text = String::from_utf8(text).expect("names are text");
        Self::read(&text).expect("it was printed as a graph")
    }
}
