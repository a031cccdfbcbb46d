//! The nar of a single file in memory.

use super::Encoder;

/// The nar of a file that is not executable: what texts and derivations are in a store.
#[must_use]
pub fn of_file(contents: &[u8]) -> Vec<u8> {
    // The words around it take 112 bytes.
    let mut encoder = Encoder::new(Vec::with_capacity(contents.len() + 128));
    let written = encoder
        .regular(false, contents.len() as u64)
        .and_then(|()| encoder.data(contents))
        .and_then(|()| encoder.finish());
    written.expect("a vector takes what is written to it").0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar::{self, Kind};

    #[test]
    fn it_is_listed_as_a_file() {
        for contents in [&b""[..], b"12345678", &[7; 100_000]] {
            let archive = of_file(contents);
            let [entry] = &nar::list(&mut &archive[..]).unwrap()[..] else {
                panic!("it is one entry");
            };
            let Kind::Regular {
                executable: false,
                size,
                offset,
            } = entry.kind
            else {
                panic!("{entry:?}");
            };
            let begin = usize::try_from(offset).unwrap();
            assert_eq!(size, contents.len() as u64);
            assert_eq!(&archive[begin..begin + contents.len()], contents);
        }
    }
}
