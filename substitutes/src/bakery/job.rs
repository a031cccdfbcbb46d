//! One nar that is compressed anew.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use grange_fail_points::{Point, reach};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::growing::Progress;
use super::oven::{Loaf, Shared};
use super::shelf::delete;

/// Bytes that are written together.
const PIECE: usize = 128 << 10;

/// A nar that is compressed; what is not whole when this is dropped is gone.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    pub(super) loaf: Loaf,
    pub(super) file: Arc<File>,
    /// Where that lies until it is whole.
    pub(super) part: PathBuf,
    pub(super) progress: watch::Sender<Progress>,
    /// Bytes of the nar.
    pub(super) nar_size: u64,
    /// Its place among the workers.
    pub(super) _place: OwnedSemaphorePermit,
}

impl Job {
    /// Does it, on a thread that may wait. `compressed` is the nar as it lies in the farm.
    pub(super) fn run(self, compressed: impl Read) {
        if let Err(error) = self.bake(compressed) {
            let Loaf { blob, compression } = self.loaf;
            tracing::warn!(%error, %blob, %compression, "a nar cannot be compressed anew");
        }
    }

    fn bake(&self, compressed: impl Read) -> io::Result<()> {
        let nar = zstd::Decoder::new(compressed)?;
        let counting = Counting {
            job: self,
            bytes: 0,
        };
        let mut writer = BufWriter::with_capacity(PIECE, counting);
        let came = self.loaf.compression.encode(nar, &mut writer)?;
        let size = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .bytes;
        if came != self.nar_size {
            let what = format!("it has {came} bytes and should have {}", self.nar_size);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        self.file.sync_data()?;
        reach(Point::NarBaked);
        let whole = self.shared.state().shelf.path(self.loaf);
        fs::rename(&self.part, whole)?;
        reach(Point::NarShelved);
        let gone = {
            let mut state = self.shared.state();
            // Who finds the file deleted must not be given this one again, and what is made then is not ours to take away.
            state.baking.remove(&self.loaf);
            state.shelf.put(self.loaf, size)
        };
        self.progress.send_modify(|progress| progress.whole = true);
        delete(&gone);
        Ok(())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.progress.borrow().whole {
            self.shared.state().baking.remove(&self.loaf);
            // It may be where it belongs already, if all went wrong at the very end.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Says how far it is.
struct Counting<'a> {
    job: &'a Job,
    bytes: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&*self.job.file).write(bytes)?;
        self.bytes += written as u64;
        self.job
            .progress
            .send_modify(|progress| progress.bytes = self.bytes);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
