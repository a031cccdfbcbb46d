//! `ar` archives, as far as packages use them.

use std::io::{self, Read};

const MAGIC: &[u8] = b"!<arch>\n";

/// Members that a package may have.
const MOST_MEMBERS: usize = 64;

/// Where a member lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub name: String,
    pub offset: u64,
    pub size: u64,
}

/// All members. Reads from the beginning.
pub(super) fn members(source: &mut impl Read) -> io::Result<Vec<Member>> {
    let mut magic = [0; 8];
    source.read_exact(&mut magic).map_err(early)?;
    if magic != MAGIC {
        return Err(invalid("it is no ar archive"));
    }
    let mut offset = 8;
    let mut members = Vec::new();
    loop {
        let mut header = [0; 60];
        match source.read(&mut header[..1])? {
            0 => return Ok(members),
            _ => source.read_exact(&mut header[1..]).map_err(early)?,
        }
        offset += 60;
        if &header[58..] != b"`\n" || members.len() == MOST_MEMBERS {
            return Err(invalid("it is a damaged ar archive"));
        }
        let field = |range: std::ops::Range<usize>| {
            std::str::from_utf8(&header[range]).map_or("", str::trim_end)
        };
        // GNU ar ends names by a slash, dpkg does not.
        let name = field(0..16).trim_end_matches('/').to_owned();
        let size = field(48..58);
        let size: u64 = size
            .parse()
            .map_err(|_| invalid("a member of it has no size"))?;
        let padded = size + size % 2;
        let member = Member { name, offset, size };
        let skipped = io::copy(&mut source.by_ref().take(padded), &mut io::sink())?;
        // The padding of the last one may be missing.
        if skipped < size {
            return Err(early(io::ErrorKind::UnexpectedEof.into()));
        }
        offset += padded;
        members.push(member);
    }
}

fn early(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => invalid("it ends early"),
        _ => error,
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive, for tests.
    pub(in super::super) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in members {
            let size = content.len();
            bytes.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                    0, 0, 0, 100_644
                )
                .bytes(),
            );
            bytes.extend(*content);
            bytes.extend(std::iter::repeat_n(b'\n', size % 2));
        }
        bytes
    }

    #[test]
    fn members_are_found() {
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("a/", b"odd"), ("b", b"")]);
        let found = members(&mut &bytes[..]).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|it| {
                let at = usize::try_from(it.offset).unwrap();
                (
                    it.name.as_str(),
                    &bytes[at..at + usize::try_from(it.size).unwrap()],
                )
            })
            .collect();
        assert_eq!(
            shown,
            [("debian-binary", &b"2.0\n"[..]), ("a", b"odd"), ("b", b"")]
        );
    }

    #[test]
    fn what_is_cut_or_lies_about_sizes_is_told() {
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("a", b"content")]);
        for end in [0, 4, 30, 70, bytes.len() - 2] {
            assert!(members(&mut &bytes[..end]).is_err(), "{end}");
        }
        for size in ["9999999999", "-1", "", "1e3"] {
            let mut bytes = bytes.clone();
            bytes[8 + 48..8 + 58].copy_from_slice(format!("{size:<10}").as_bytes());
            assert!(members(&mut &bytes[..]).is_err(), "{size}");
        }
        assert!(members(&mut &b"not an archive at all"[..]).is_err());
    }
}
