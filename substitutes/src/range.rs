//! Parts of a file: RFC 9110, section 14, for a single range.

use std::ops::Range;

/// What a `Range` header asks of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it; also where the header is of a kind that is not served, as the RFC allows.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// Nothing that the file has.
    Outside,
}

/// Reads a `Range` header for a file of `size` bytes.
pub(crate) fn part(header: Option<&str>, size: u64) -> Part {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = range.split_once('-') else {
        return Part::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(suffix)) if first.trim().is_empty() => {
            if suffix == 0 {
                return Part::Outside;
            }
            size.saturating_sub(suffix)..size
        }
        _ => return Part::Whole,
    };
    if range.is_empty() {
        Part::Outside
    } else {
        Part::Bytes(range)
    }
}

/// Digits only; more than any file has are as many as there can be.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let of = |header| part(Some(header), 10);
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(of("bytes=0-"), Part::Bytes(0..10));
        assert_eq!(of("bytes=3-5"), Part::Bytes(3..6));
        assert_eq!(of("bytes=3-99999999999999999999999"), Part::Bytes(3..10));
        assert_eq!(of("bytes=-4"), Part::Bytes(6..10));
        assert_eq!(of("bytes=-40"), Part::Bytes(0..10));
        for outside in ["bytes=10-", "bytes=11-12", "bytes=-0"] {
            assert_eq!(of(outside), Part::Outside, "{outside}");
        }
        for odd in [
            "bytes=5-3",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=",
            "bytes=+1-2",
            "bytes=a-b",
        ] {
            assert_eq!(of(odd), Part::Whole, "{odd}");
        }
        assert_eq!(part(Some("bytes=0-"), 0), Part::Outside);
    }
}
