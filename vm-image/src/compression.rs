//! Compressed streams.

use std::io::{self, BufRead, BufReader, Read};

use liblzma::stream::Stream;

/// Bytes of memory for a decoder: what the largest preset of xz takes is 65 MiB.
const MEMORY: u64 = 256 << 20;

/// The largest window of zstd, as a power of two: what `zstd --ultra` makes without `--long`.
const WINDOW_LOG: u32 = 27;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// By a file name's end.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "gz" => Some(Self::Gzip),
            "xz" => Some(Self::Xz),
            "zst" => Some(Self::Zstd),
            "tar" | "ko" => Some(Self::None),
            _ => None,
        }
    }

    /// What comes out of it.
    pub(crate) fn open<'a>(self, source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        let source = BufReader::with_capacity(64 << 10, source);
        Ok(match self {
            Self::None => Box::new(source),
            Self::Gzip => Box::new(flate2::bufread::GzDecoder::new(source)),
            Self::Xz => xz(source)?,
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder.single_frame())
            }
        })
    }
}

fn xz<'a>(source: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let stream = Stream::new_stream_decoder(MEMORY, 0)?;
    Ok(Box::new(liblzma::bufread::XzDecoder::new_stream(
        source, stream,
    )))
}
