//! The bytes of what is upstream, for agents.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::{Body, Fault, Refusal};
use grange_model::UpstreamRecord;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::gone::gone;
use crate::available::info;
use crate::handle::Handle;
use crate::ingest::BodyWriter;
use crate::shared::Shared;

/// Fast: it goes over the farm's own network, once.
const LEVEL: i32 = 1;
const BUFFER: usize = 128 * 1024;

/// The nar as agents get it, compressed with zstd, from `offset` on. The same nar gives the same bytes as long as this
/// coordinator runs, so that whoever was cut off may go on; it is fetched anew for that.
///
/// What is not to be had any more is forgotten.
pub(crate) async fn nar(
    shared: &Shared,
    handle: &Handle,
    record: &UpstreamRecord,
    offset: u64,
) -> Result<Body, Refusal> {
    let info = info(record)?;
    let transfers = Arc::clone(&shared.transfers);
    let permit = transfers.try_acquire_owned().map_err(|_| {
        let message = "as much is fetched from substitute servers as may be at once";
        Refusal::busy(message, Duration::from_secs(2))
    })?;
    let nar = match shared.upstreams.all().nar(&info).await {
        Ok(nar) => nar,
        Err(refusal)
            if shared
                .silent
                .no_answer(shared.clock.now(), record.item.digest) =>
        {
            tracing::warn!(path = %info.path, %refusal, "it counts as gone upstream");
            None
        }
        Err(refusal) => return Err(refusal),
    };
    shared.silent.spoke(record.item.digest);
    let Some(nar) = nar else {
        gone(shared, handle, &[record]).await?;
        let message = format!("no substitute server has {} any more", info.path);
        return Err(Refusal::new(Fault::NotFound, message));
    };
    let (writer, body) = BodyWriter::new();
    let mut reader = SyncIoBridge::new(StreamReader::new(nar));
    tokio::task::spawn_blocking(move || {
        let failures = writer.0.clone();
        if let Err(error) = compress(&mut reader, Behind { writer, offset }) {
            // Who reads learns that this is not all; if nobody does, nobody needs to know.
            let _ = failures.blocking_send(Err(error));
        }
        drop(permit);
    });
    Ok(body)
}

fn compress(reader: &mut impl Read, writer: impl Write) -> io::Result<()> {
    let mut encoder = zstd::stream::write::Encoder::new(writer, LEVEL)?;
    // Pieces come as the network cuts them; what is made of them must not depend on that.
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == 0 {
            return encoder.finish().map(drop);
        }
        encoder.write_all(&buffer[..filled])?;
    }
}

/// Leaves out what comes before an offset.
struct Behind<W> {
    writer: W,
    offset: u64,
}

impl<W: Write> Write for Behind<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let skipped = skipped.min(bytes.len());
        self.offset -= skipped as u64;
        if skipped < bytes.len() {
            self.writer.write_all(&bytes[skipped..])?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what a network might.
    struct Cut<'a>(&'a [u8], usize);

    impl Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(self.1).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn compressed(nar: &[u8], step: usize, offset: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let writer = Behind {
            writer: &mut out,
            offset,
        };
        compress(&mut Cut(nar, step), writer).unwrap();
        out
    }

    #[test]
    fn whoever_was_cut_off_goes_on() {
        let nar: Vec<u8> = (0..100_000u32)
            .flat_map(|it| it.wrapping_mul(it).to_le_bytes())
            .collect();
        let whole = compressed(&nar, 1_000_000, 0);
        assert_eq!(zstd::decode_all(&*whole).unwrap(), nar);
        for offset in [1, 1_000, whole.len() - 1, whole.len()] {
            let rest = compressed(&nar, 777, offset as u64);
            assert!(rest == whole[offset..], "from {offset} on");
        }
    }
}
