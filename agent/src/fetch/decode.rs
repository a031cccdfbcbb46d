//! Zstandard, piece by piece.

use std::io;

use bytes::{Buf, Bytes};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// Bytes that are made at once; what one block of Zstandard holds at most (RFC 8878, section
/// 3.1.1.2.4).
const PIECE: usize = 128 * 1024;

/// How much memory a file may ask for, as a power of two: 8 MiB, as level 19 does, the highest
/// that agents use.
const WINDOW: u32 = 23;

/// A decoder that is fed.
pub(crate) struct Decompressor {
    decoder: Decoder<'static>,
    input: Bytes,
    /// The last piece was full: there may be more without further input.
    full: bool,
}

impl Decompressor {
    pub(crate) fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
        Ok(Self {
            decoder,
            input: Bytes::new(),
            full: false,
        })
    }

    /// Takes in more; only when [`Decompressor::next`] gives nothing more.
    pub(crate) fn feed(&mut self, input: Bytes) {
        self.input = input;
    }

    /// What the input so far decompresses to, in pieces.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.full || !self.input.is_empty() {
            let mut piece = vec![0; PIECE];
            let status = self.decoder.run_on_buffers(&self.input, &mut piece)?;
            self.input.advance(status.bytes_read);
            self.full = status.bytes_written == piece.len();
            if status.bytes_written > 0 {
                piece.truncate(status.bytes_written);
                return Ok(Some(piece.into()));
            }
            if status.bytes_read == 0 && !self.input.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "it does not go on",
                ));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decompress(input: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let mut decompressor = Decompressor::new()?;
        let mut all = Vec::new();
        for piece in input.chunks(step) {
            decompressor.feed(Bytes::copy_from_slice(piece));
            while let Some(piece) = decompressor.next()? {
                assert!(piece.len() <= PIECE);
                all.extend_from_slice(&piece);
            }
        }
        Ok(all)
    }

    #[test]
    fn any_cut_gives_the_same() {
        let text: Vec<u8> = (0..700_000u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect();
        let mut compressed = zstd::encode_all(&text[..1_000_000], 3).unwrap();
        compressed.extend(zstd::encode_all(&text[1_000_000..], 3).unwrap());
        for step in [1, 1000, usize::MAX] {
            assert!(
                decompress(&compressed, step).unwrap() == text,
                "cut into {step}"
            );
        }
    }

    #[test]
    fn rubbish_is_an_error() {
        assert!(decompress(b"this is no zstandard", 100).is_err());
    }
}
