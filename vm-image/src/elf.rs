//! ELF files, as far as images need to look into them: the System V ABI, 64-bit and little-endian.

/// A program header that names a dynamic linker.
const PT_INTERP: u32 = 3;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// An ELF file that is at least a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
}

impl<'a> Elf<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let good = bytes.starts_with(b"\x7fELF\x02\x01") && bytes.len() >= 64;
        good.then_some(Self { bytes })
    }

    pub(crate) fn machine(self) -> u16 {
        self.u16(18).unwrap_or_default()
    }

    /// Whether it is a program (or, in the kernel's case, an image) that needs no other file.
    pub(crate) fn is_static_program(self) -> Option<bool> {
        let kind = self.u16(16)?;
        let (offset, size, count) = (self.u64(32)?, self.u16(54)?, self.u16(56)?);
        let mut interpreted = false;
        for index in 0..u64::from(count) {
            let at = offset.checked_add(index * u64::from(size))?;
            interpreted |= self.u32(usize::try_from(at).ok()?)? == PT_INTERP;
        }
        Some(matches!(kind, ET_EXEC | ET_DYN) && count > 0 && !interpreted)
    }

    /// The section of this name.
    pub(crate) fn section(self, name: &[u8]) -> Option<&'a [u8]> {
        let (offset, size) = (self.u64(40)?, u64::from(self.u16(58)?));
        let (count, names) = (u64::from(self.u16(60)?), u64::from(self.u16(62)?));
        let header = |index: u64| {
            let at = usize::try_from(offset.checked_add(index * size)?).ok()?;
            let content = self.part(
                self.u64(at.checked_add(24)?)?,
                self.u64(at.checked_add(32)?)?,
            )?;
            Some((self.u32(at)?, content))
        };
        let (_, strings) = header(names)?;
        (0..count).filter_map(header).find_map(|(at, content)| {
            let found = strings.get(usize::try_from(at).ok()?..)?;
            (found.split(|&it| it == 0).next() == Some(name)).then_some(content)
        })
    }

    fn part(self, offset: u64, size: u64) -> Option<&'a [u8]> {
        let begin = usize::try_from(offset).ok()?;
        let end = begin.checked_add(usize::try_from(size).ok()?)?;
        self.bytes.get(begin..end)
    }

    fn u16(self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn u64(self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program for x86-64 with one program header and one section `name`, for tests.
    pub(crate) fn elf(kind: u16, program_header: u32, name: &[u8], section: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(16, &kind.to_le_bytes());
        put(18, &62_u16.to_le_bytes());
        put(32, &64_u64.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &1_u16.to_le_bytes());
        put(58, &64_u16.to_le_bytes());
        put(60, &2_u16.to_le_bytes());
        let mut program = vec![0; 56];
        program[..4].copy_from_slice(&program_header.to_le_bytes());
        bytes.extend(program);
        let strings = [b"\0", name, b"\0"].concat();
        let content = bytes.len() as u64;
        bytes.extend(&strings);
        let second = bytes.len() as u64;
        bytes.extend(section);
        let sections = bytes.len() as u64;
        bytes[40..48].copy_from_slice(&sections.to_le_bytes());
        for (name, offset, size) in [(0_u32, content, strings.len()), (1, second, section.len())] {
            let mut header = vec![0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[24..32].copy_from_slice(&offset.to_le_bytes());
            header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            bytes.extend(header);
        }
        bytes
    }

    #[test]
    fn a_program_with_a_dynamic_linker_is_not_static() {
        let program = |kind, header| {
            let bytes = elf(kind, header, b".x", b"");
            Elf::new(&bytes).unwrap().is_static_program()
        };
        assert_eq!(program(2, 1), Some(true));
        assert_eq!(program(3, 1), Some(true));
        assert_eq!(program(3, PT_INTERP), Some(false));
        assert_eq!(program(1, 1), Some(false));
    }

    #[test]
    fn sections_are_found_by_name() {
        let bytes = elf(1, 1, b".modinfo", b"depends=\0");
        let elf = Elf::new(&bytes).unwrap();
        assert_eq!(elf.section(b".modinfo"), Some(&b"depends=\0"[..]));
        assert_eq!(elf.section(b".mod"), None);
    }

    #[test]
    fn no_damage_is_worse_than_nothing_found() {
        let whole = elf(1, 1, b".modinfo", b"depends=\0");
        for end in 0..whole.len() {
            let found = Elf::new(&whole[..end]).and_then(|elf| elf.section(b".modinfo"));
            // The end of the last header says nothing that matters here.
            assert!(found.is_none() || end >= whole.len() - 24, "{end}");
        }
        for at in 16..64 {
            let mut bytes = whole.clone();
            bytes[at] = 0xff;
            let elf = Elf::new(&bytes).unwrap();
            elf.section(b".modinfo");
            elf.is_static_program();
        }
    }
}
