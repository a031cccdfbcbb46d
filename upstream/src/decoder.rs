//! gzip, lzip, xz and Zstandard, piece by piece, within a limit of memory.

use std::fmt;
use std::io::{self, Write};

use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;
use grange_signatures::narinfo::Compression;
use liblzma::stream::{Action, CONCATENATED, Status, Stream};
use zstd::stream::raw::{DParameter, Decoder as Zstd, Operation};

/// Bytes that are made at once.
const PIECE: usize = 128 << 10;

/// How much memory xz and lzip may ask for: the dictionary of their highest level is 64 MiB.
const LZMA_MEMORY: u64 = 136 << 20;

/// How much memory Zstandard may ask for, as a power of two: 128 MiB, what `zstd --long` does.
const ZSTD_WINDOW: u32 = 27;

/// How much of a gzip file is looked at at once: it becomes at most 1,032 times as much.
const GZIP_SLICE: usize = 1 << 10;

/// A decoder that is fed: of a file of one or several members, within 136 MiB of memory.
pub struct Decoder {
    kind: Kind,
    input: Bytes,
    /// The last piece was full: there may be more without further input.
    full: bool,
}

enum Kind {
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// xz or lzip.
    Lzma(Stream),
    Zstd(Zstd<'static>),
}

impl Decoder {
    /// Those that can be read, the one to prefer first: reading Zstandard costs least, and no compression most to send.
    pub const READABLE: [Compression; 5] = [
        Compression::Zstd,
        Compression::Gzip,
        Compression::Lzip,
        Compression::Xz,
        Compression::None,
    ];

    /// A decoder, or none for what cannot be read.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(compression: &Compression) -> io::Result<Option<Self>> {
        let kind = match compression {
            Compression::None => Kind::None,
            Compression::Gzip => Kind::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            // Files of several members are files.
            Compression::Lzip => Kind::Lzma(Stream::new_lzip_decoder(LZMA_MEMORY, CONCATENATED)?),
            Compression::Xz => Kind::Lzma(Stream::new_stream_decoder(LZMA_MEMORY, CONCATENATED)?),
            Compression::Zstd => {
                let mut decoder = Zstd::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
                Kind::Zstd(decoder)
            }
            _ => return Ok(None),
        };
        Ok(Some(Self {
            kind,
            input: Bytes::new(),
            full: false,
        }))
    }

    /// Takes in more; only when [`Decoder::next`] gives nothing more.
    pub fn feed(&mut self, input: Bytes) {
        debug_assert!(self.input.is_empty(), "what was fed before was not used up");
        self.input = input;
    }

    /// Whether there is nothing to do before more comes.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.full && self.input.is_empty()
    }

    /// What the input so far decompresses to, in pieces. That the input ends in the middle of a file is not noticed:
    /// whoever knows the size of what comes out does. A piece has at most some two MiB.
    ///
    /// # Errors
    /// It is not such a file, goes on behind its end, or wants more memory. The decoder is of no use then.
    #[expect(
        clippy::should_implement_trait,
        reason = "more may be fed after its end"
    )]
    pub fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.is_idle() {
            let piece = match &mut self.kind {
                Kind::None => std::mem::take(&mut self.input).into(),
                Kind::Gzip(decoder) => gunzip(decoder, &mut self.input)?,
                Kind::Lzma(stream) => unlzma(stream, &mut self.input, &mut self.full)?,
                Kind::Zstd(decoder) => unzstd(decoder, &mut self.input, &mut self.full)?,
            };
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
        Ok(None)
    }
}

fn gunzip(decoder: &mut MultiGzDecoder<Vec<u8>>, input: &mut Bytes) -> io::Result<Vec<u8>> {
    while !input.is_empty() && decoder.get_ref().len() < PIECE {
        let slice = &input[..input.len().min(GZIP_SLICE)];
        let taken = decoder.write(slice)?;
        if taken == 0 {
            return Err(stuck());
        }
        input.advance(taken);
        // What it has made and not yet written.
        decoder.flush()?;
    }
    Ok(std::mem::take(decoder.get_mut()))
}

fn unlzma(stream: &mut Stream, input: &mut Bytes, full: &mut bool) -> io::Result<Vec<u8>> {
    let (taken, mut piece) = (stream.total_in(), Vec::with_capacity(PIECE));
    let status = stream.process_vec(input, &mut piece, Action::Run)?;
    let taken = usize::try_from(stream.total_in() - taken).expect("it took from the input");
    input.advance(taken);
    *full = piece.len() == piece.capacity();
    let ended = status == Status::StreamEnd && !input.is_empty();
    if ended || taken == 0 && piece.is_empty() && !input.is_empty() {
        return Err(stuck());
    }
    Ok(piece)
}

fn unzstd(decoder: &mut Zstd<'static>, input: &mut Bytes, full: &mut bool) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    let status = decoder.run_on_buffers(input, &mut piece)?;
    input.advance(status.bytes_read);
    *full = status.bytes_written == piece.len();
    if status.bytes_read == 0 && status.bytes_written == 0 && !input.is_empty() {
        return Err(stuck());
    }
    piece.truncate(status.bytes_written);
    Ok(piece)
}

fn stuck() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "there is something behind the end of the compressed file",
    )
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Kind::None => "none",
            Kind::Gzip(_) => "gzip",
            Kind::Lzma(_) => "lzip or xz",
            Kind::Zstd(_) => "zstd",
        };
        f.debug_struct("Decoder")
            .field("kind", &name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that compresses, and noise that does not.
    fn sample() -> Vec<u8> {
        let noise = |n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes();
        let mut all: Vec<u8> = (0..500).flat_map(noise).collect();
        all.extend(b"abc".repeat(700));
        all
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8], preset: u32) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), preset);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// `abc` 700 times, as lzip 1.23 writes it.
    const LZIP: [u8; 53] = [
        76, 90, 73, 80, 1, 12, 0, 48, 152, 136, 173, 75, 55, 18, 163, 49, 133, 221, 250, 83, 4,
        237, 234, 209, 94, 66, 55, 255, 255, 130, 146, 0, 0, 232, 49, 173, 66, 52, 8, 0, 0, 0, 0,
        0, 0, 53, 0, 0, 0, 0, 0, 0, 0,
    ];

    fn decode(compression: &Compression, pieces: &[&[u8]]) -> io::Result<Vec<u8>> {
        let mut decoder = Decoder::new(compression)?.unwrap();
        let mut all = Vec::new();
        for piece in pieces {
            decoder.feed(Bytes::copy_from_slice(piece));
            while let Some(piece) = decoder.next()? {
                all.extend_from_slice(&piece);
            }
        }
        Ok(all)
    }

    #[test]
    fn cut_anywhere_and_of_several_members() {
        let sample = sample();
        let (one, two) = sample.split_at(2100);
        let lzip = [&LZIP[..], &LZIP].concat();
        for (compression, file, expected) in [
            (Compression::None, sample.clone(), sample.clone()),
            (
                Compression::Gzip,
                [gzip(one), gzip(two)].concat(),
                sample.clone(),
            ),
            (
                Compression::Xz,
                [xz(one, 6), xz(two, 1)].concat(),
                sample.clone(),
            ),
            (Compression::Lzip, lzip, b"abc".repeat(1400)),
            (
                Compression::Zstd,
                [one, two]
                    .map(|part| zstd::encode_all(part, 3).unwrap())
                    .concat(),
                sample.clone(),
            ),
        ] {
            for cut in 0..=file.len() {
                let (a, b) = file.split_at(cut);
                let made = decode(&compression, &[a, b]).unwrap();
                assert!(
                    made == expected,
                    "{compression} cut at {cut}: {} bytes",
                    made.len()
                );
            }
            let bytes: Vec<&[u8]> = file.chunks(1).collect();
            assert!(
                decode(&compression, &bytes).unwrap() == expected,
                "{compression} in single bytes"
            );
        }
    }

    #[test]
    fn rubbish_and_what_comes_behind_is_refused() {
        let sample = sample();
        for (compression, file) in [
            (Compression::Gzip, gzip(&sample)),
            (Compression::Xz, xz(&sample, 6)),
            (Compression::Zstd, zstd::encode_all(&sample[..], 3).unwrap()),
        ] {
            assert!(decode(&compression, &[&sample]).is_err(), "{compression}");
            let behind = decode(&compression, &[&file, b"<html>something else</html>"]);
            assert!(behind.is_err(), "{compression}");
            // A file that is cut makes less, and that is all.
            let cut = decode(&compression, &[&file[..file.len() / 2]]).unwrap();
            assert!(
                cut.len() < sample.len() && sample.starts_with(&cut),
                "{compression}"
            );
        }
        assert!(decode(&Compression::Lzip, &[&sample]).is_err());
        assert!(Decoder::new(&Compression::Brotli).unwrap().is_none());
    }

    #[test]
    fn what_asks_for_too_much_memory_is_refused() {
        // A dictionary of 512 MiB, the most of lzip: "LZIP", version 1, 29.
        let mut lzip = LZIP.to_vec();
        lzip[5] = 29;
        assert!(decode(&Compression::Lzip, &[&lzip]).is_err());
        let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
        zstd.window_log(28).unwrap();
        zstd.write_all(&vec![7; 200 << 10]).unwrap();
        assert!(decode(&Compression::Zstd, &[&zstd.finish().unwrap()]).is_err());
        // The dictionary of an xz file is in its block header, behind the 12 bytes of the stream's: a size byte, flags, the
        // filter LZMA2 (0x21) with one byte of properties, and a CRC-32. 38 stands for 2 GiB.
        let mut xz = xz(b"abc", 1);
        assert_eq!((xz[14], xz[15]), (0x21, 1));
        xz[16] = 38;
        let length = 4 * usize::from(xz[12]);
        let crc = crc32(&xz[12..12 + length]);
        xz[12 + length..16 + length].copy_from_slice(&crc.to_le_bytes());
        let error = decode(&Compression::Xz, &[&xz]).unwrap_err().to_string();
        assert!(error.contains("memory"), "{error}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }

    #[test]
    fn what_explodes_comes_in_pieces() {
        let zeros = vec![0; 16 << 20];
        for (compression, file) in [
            (Compression::Gzip, gzip(&zeros)),
            (Compression::Xz, xz(&zeros, 1)),
            (Compression::Zstd, zstd::encode_all(&zeros[..], 1).unwrap()),
        ] {
            let mut decoder = Decoder::new(&compression).unwrap().unwrap();
            decoder.feed(file.into());
            let mut made = 0;
            while let Some(piece) = decoder.next().unwrap() {
                assert!(piece.len() <= 2 << 20, "{compression}: {}", piece.len());
                made += piece.len();
            }
            assert_eq!(made, zeros.len(), "{compression}");
        }
    }
}
