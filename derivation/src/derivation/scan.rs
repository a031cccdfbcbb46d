//! Finding the bytes that strings escape, eight at a time.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The position of the first `"`, `\`, newline, carriage return or tab, or the length.
pub(super) fn find_special(text: &[u8]) -> usize {
    let mut at = 0;
    let mut words = text.chunks_exact(8);
    for word in words.by_ref() {
        let word = u64::from_le_bytes(word.try_into().unwrap_or([0; 8]));
        if may_hold_special(word)
            && let Some(found) = text[at..at + 8].iter().position(|byte| is_special(*byte))
        {
            return at + found;
        }
        at += 8;
    }
    words
        .remainder()
        .iter()
        .position(|byte| is_special(*byte))
        .map_or(text.len(), |found| at + found)
}

const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t')
}

/// Whether one of eight bytes is `"`, `\` or below 14. The classic test for a zero byte, and for one below N; both may
/// say yes needlessly, never no.
const fn may_hold_special(word: u64) -> bool {
    let quote = word ^ (LOW * b'"' as u64);
    let backslash = word ^ (LOW * b'\\' as u64);
    let quote = quote.wrapping_sub(LOW) & !quote;
    let backslash = backslash.wrapping_sub(LOW) & !backslash;
    let control = word.wrapping_sub(LOW * 14) & !word;
    (quote | backslash | control) & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for filler in [b'a', 0xff, 0x0e, 0x80] {
                for at in 0..17 {
                    let mut text = [filler; 17];
                    text[at] = byte;
                    assert_eq!(
                        find_special(&text),
                        if is_special(byte) { at } else { 17 },
                        "{byte} at {at}"
                    );
                }
            }
        }
    }
}
