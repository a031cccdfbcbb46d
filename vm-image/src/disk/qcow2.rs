//! The header and tables of a qcow2: QEMU's `docs/interop/qcow2.txt`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Why a qcow2 is not taken.
pub(super) enum Problem {
    /// What is wrong with it.
    Bad(String),
    /// It could not be read.
    Io(io::Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The second: it leads to where no file has anything.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                Self::Bad("a qcow2 that ends early".to_owned())
            }
            _ => Self::Io(error),
        }
    }
}

/// Entries of a table that are read at a time.
const SLICE: u64 = 8192;

/// Where an entry of a table leads: bits 9 to 55.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Whether it is whole, and all there is of the disk.
pub(super) fn check(file: &mut File, size: u64) -> Result<(), Problem> {
    let bad = |what: &str| Problem::Bad(what.to_owned());
    file.seek(SeekFrom::Start(0))?;
    let mut header = [0; 104];
    // Version 2 has 72 bytes, then come tables, so there are always as many.
    file.read_exact(&mut header)?;
    let u32_at = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let u64_at = |at: usize| (u64::from(u32_at(at)) << 32) | u64::from(u32_at(at + 4));
    let version = u32_at(4);
    if !matches!(version, 2 | 3) {
        return Err(Problem::Bad(format!("a qcow2 of version {version}")));
    }
    if u64_at(8) != 0 {
        let mut name = vec![0; (u32_at(16) as usize).min(1023)];
        file.seek(SeekFrom::Start(u64_at(8)))?;
        file.read_exact(&mut name)?;
        let name = String::from_utf8_lossy(&name).into_owned();
        return Err(Problem::Bad(format!(
            "a qcow2 that is a difference to another file, {name:?}; `qemu-img convert` makes a whole one of both"
        )));
    }
    let incompatible = if version == 3 { u64_at(72) } else { 0 };
    if incompatible & 1 << 2 != 0 {
        return Err(bad("a qcow2 whose data are in another file"));
    }
    if incompatible & 1 << 1 != 0 {
        return Err(bad("a qcow2 that is marked as damaged"));
    }
    if incompatible & !0b1_1111 != 0 {
        return Err(Problem::Bad(format!(
            "a qcow2 of a later QEMU (features {incompatible:#x})"
        )));
    }
    if u32_at(32) != 0 {
        return Err(bad("an encrypted qcow2"));
    }
    let cluster_bits = u32_at(20);
    if !(9..=21).contains(&cluster_bits) {
        return Err(bad("a qcow2 with an impossible size of clusters"));
    }
    let entry_bytes = if incompatible & 1 << 4 != 0 { 16 } else { 8 };
    let tables = Tables {
        size,
        cluster: 1 << cluster_bits,
        cluster_bits,
        entry_bytes,
    };
    let virtual_size = u64_at(24);
    let entries = u64::from(u32_at(36));
    let covered = (tables.cluster / entry_bytes) << cluster_bits;
    if virtual_size == 0 || entries < virtual_size.div_ceil(covered) || entries * 8 > 32 << 20 {
        return Err(bad("a qcow2 whose table has not the size of its disk"));
    }
    tables.walk(file, u64_at(40), entries)
}

/// What the tables lead to has to be there.
struct Tables {
    size: u64,
    cluster: u64,
    cluster_bits: u32,
    entry_bytes: u64,
}

impl Tables {
    fn walk(&self, file: &mut File, offset: u64, entries: u64) -> Result<(), Problem> {
        let mut second = Vec::new();
        each(file, offset, entries, 8, &mut |entry| {
            second.push(entry & OFFSET);
            Ok(())
        })?;
        for table in second.into_iter().filter(|&it| it != 0) {
            self.within(table, self.cluster)?;
            let count = self.cluster / self.entry_bytes;
            each(file, table, count, self.entry_bytes, &mut |entry| {
                self.data(entry)
            })?;
        }
        Ok(())
    }

    /// A data cluster. The last one of a file need not be whole.
    fn data(&self, entry: u64) -> Result<(), Problem> {
        if entry & 1 << 62 == 0 {
            return match entry & OFFSET {
                0 => Ok(()),
                offset => self.within(offset, 1),
            };
        }
        // Compressed: x bits of offset, then the count of further sectors of 512 bytes.
        let bits = 62 - (self.cluster_bits - 8);
        self.within(entry & ((1 << bits) - 1), 1)
    }

    fn within(&self, offset: u64, length: u64) -> Result<(), Problem> {
        match offset
            .checked_add(length)
            .is_some_and(|end| end <= self.size)
        {
            true => Ok(()),
            false => Err(Problem::Bad("a qcow2 that ends early".to_owned())),
        }
    }
}

/// Each entry's first word.
fn each(
    file: &mut File,
    offset: u64,
    entries: u64,
    entry_bytes: u64,
    visit: &mut dyn FnMut(u64) -> Result<(), Problem>,
) -> Result<(), Problem> {
    file.seek(SeekFrom::Start(offset))?;
    let mut left = entries;
    let mut buffer = Vec::new();
    while left > 0 {
        let count = left.min(SLICE);
        let bytes = usize::try_from(count * entry_bytes).expect("a slice is small");
        buffer.resize(bytes, 0);
        file.read_exact(&mut buffer)?;
        let step = usize::try_from(entry_bytes).expect("it is 8 or 16");
        for entry in buffer.chunks_exact(step) {
            let word = entry[..8].try_into().expect("an entry has 8 bytes or 16");
            visit(u64::from_be_bytes(word))?;
        }
        left -= count;
    }
    Ok(())
}
