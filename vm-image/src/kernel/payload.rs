//! The uncompressed kernel in a `vmlinuz`: the kernel's `Documentation/arch/x86/boot.rst`.

use std::io::Read;

use crate::compression::Compression;
use crate::elf::Elf;

/// Bytes of a kernel without compression. Debian's have 60 MiB.
const MOST_BYTES: u64 = 512 << 20;

/// Blocks of lz4's legacy format hold so much, uncompressed.
const LZ4_BLOCK: usize = 8 << 20;

const LZ4_LEGACY: &[u8] = b"\x02\x21\x4c\x18";

/// How kernels are compressed, by how that begins.
const MAGICS: &[(&[u8], Option<Compression>)] = &[
    (b"\xfd7zXZ\0", Some(Compression::Xz)),
    (b"\x28\xb5\x2f\xfd", Some(Compression::Zstd)),
    (b"\x1f\x8b\x08", Some(Compression::Gzip)),
    (LZ4_LEGACY, None),
];

/// The kernel as an ELF file, if it is compressed in a way that is known here.
pub(crate) fn extract(vmlinuz: &[u8]) -> Option<Vec<u8>> {
    if let Some(unpacked) = payload(vmlinuz).and_then(unpack) {
        return Some(unpacked);
    }
    // The header does not say where; look for what begins like it.
    let places = (0..vmlinuz.len()).filter(|&at| {
        MAGICS
            .iter()
            .any(|(magic, _)| vmlinuz[at..].starts_with(magic))
    });
    places.take(64).find_map(|at| unpack(&vmlinuz[at..]))
}

/// Where the header says that the payload is.
fn payload(vmlinuz: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let bytes = vmlinuz.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    if vmlinuz.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    // None means four, for old loaders.
    let setup = match vmlinuz.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(*sectors),
    };
    let begin = (setup + 1) * 512 + word(0x248)?;
    vmlinuz.get(begin..begin.checked_add(word(0x24c)?)?)
}

fn unpack(payload: &[u8]) -> Option<Vec<u8>> {
    let (_, compression) = MAGICS
        .iter()
        .find(|(magic, _)| payload.starts_with(magic))?;
    let unpacked = match compression {
        Some(compression) => {
            let mut bytes = Vec::new();
            // The decoders stop at the stream's end; four bytes with its size follow.
            let reader = compression.open(payload).ok()?;
            reader.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
            bytes
        }
        None => lz4(&payload[LZ4_LEGACY.len()..])?,
    };
    Elf::new(&unpacked).is_some().then_some(unpacked)
}

/// Blocks, each after its size. What follows the last one is the size of all, which no block can have.
fn lz4(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let Some(block) = after.get(..size).filter(|it| !it.is_empty()) else {
            break;
        };
        unpacked.extend(lz4_flex::block::decompress(block, LZ4_BLOCK).ok()?);
        if unpacked.len() as u64 > MOST_BYTES {
            return None;
        }
        rest = &after[size..];
    }
    Some(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::elf::tests::elf;

    /// A `vmlinuz` with two setup sectors.
    fn vmlinuz(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 3 * 512 + 100];
        bytes[0x1f1] = 2;
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x248..0x24c].copy_from_slice(&100_u32.to_le_bytes());
        let size = u32::try_from(payload.len()).unwrap() + 4;
        bytes[0x24c..0x250].copy_from_slice(&size.to_le_bytes());
        bytes.extend(payload);
        bytes.extend(0xffff_0000_u32.to_le_bytes());
        bytes.extend([7; 100]);
        bytes
    }

    fn lz4(kernel: &[u8]) -> Vec<u8> {
        let mut bytes = LZ4_LEGACY.to_vec();
        for part in kernel.chunks(100) {
            let block = literal_block(part);
            bytes.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
            bytes.extend(block);
        }
        bytes
    }

    /// A block of literals alone.
    fn literal_block(bytes: &[u8]) -> Vec<u8> {
        let rest = bytes.len() - 15;
        assert!(rest < 255);
        [&[0xf0, u8::try_from(rest).unwrap()], bytes].concat()
    }

    fn payloads(kernel: &[u8]) -> Vec<Vec<u8>> {
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(kernel).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(kernel).unwrap();
        vec![
            xz.finish().unwrap(),
            gzip.finish().unwrap(),
            zstd::encode_all(kernel, 1).unwrap(),
            lz4(kernel),
        ]
    }

    #[test]
    fn whatever_compressed_it_it_comes_out() {
        let kernel = elf(2, 1, b".note", b"0123456789");
        for payload in payloads(&kernel) {
            assert_eq!(extract(&vmlinuz(&payload)), Some(kernel.clone()));
        }
    }

    #[test]
    fn it_is_found_without_a_header() {
        let kernel = elf(2, 1, b".note", b"0123456789");
        for payload in payloads(&kernel) {
            let mut bytes = vmlinuz(&payload);
            bytes[0x202] = 0;
            assert_eq!(extract(&bytes), Some(kernel.clone()));
        }
    }

    #[test]
    fn what_is_no_kernel_or_not_whole_is_left_alone() {
        assert_eq!(extract(b""), None);
        for payload in
            payloads(b"this is compressed, but no ELF file, and is as long as it has to be")
        {
            assert_eq!(extract(&vmlinuz(&payload)), None);
        }
        let kernel = elf(2, 1, b".note", &[9; 4000]);
        for payload in payloads(&kernel) {
            let whole = vmlinuz(&payload);
            // Whatever comes out of a half, it is not half a kernel that is taken for one.
            let half = extract(&whole[..3 * 512 + 100 + payload.len() / 2]);
            assert!(half.is_none_or(|it| it.len() < kernel.len()));
        }
    }

    #[test]
    fn headers_that_lead_nowhere_do_no_harm() {
        let mut bytes = vmlinuz(b"x");
        bytes[0x248..0x250].copy_from_slice(&[0xff; 8]);
        assert_eq!(extract(&bytes), None);
        for end in 0x1f0..0x260 {
            assert_eq!(extract(&bytes[..end]), None);
        }
    }
}
