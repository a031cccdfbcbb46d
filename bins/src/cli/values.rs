//! Values on the command line.

use grange_model::{Resources, Tags};

use crate::sizes::parse_size;

/// `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// Before the first `=`; not empty.
    pub key: String,
    /// Behind it.
    pub value: String,
}

/// Reads `KEY=VALUE`.
///
/// # Errors
///
/// There is no `=`, or nothing before it.
pub fn parse_key_value(text: &str) -> Result<KeyValue, String> {
    match text.split_once('=') {
        Some(("", _)) => Err("nothing stands before the `=`; write KEY=VALUE".to_owned()),
        Some((key, value)) => Ok(KeyValue {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        None => Err("there is no `=`; write KEY=VALUE".to_owned()),
    }
}

/// All of them; of two with the same key the later one counts.
#[must_use]
pub fn tags(pairs: &[KeyValue]) -> Tags {
    pairs
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.clone()))
        .collect()
}

/// `NAME=AMOUNT`: so much of something that builds use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `cores`, `memory`, `disk`, or a token of any name.
    pub name: String,
    /// Bytes of memory and disk; else a number.
    pub amount: u64,
}

/// Reads `NAME=AMOUNT`; amounts may be written as sizes: `memory=16G`.
///
/// # Errors
///
/// There is no `=`, nothing before it, or no size behind it.
pub fn parse_resource(text: &str) -> Result<Resource, String> {
    let pair = parse_key_value(text)
        .map_err(|_| format!("`{text}` is no resource; write NAME=AMOUNT, such as memory=16G"))?;
    Ok(Resource {
        amount: parse_size(&pair.value)?,
        name: pair.key,
    })
}

/// All of them; of two with the same name the later one counts.
#[must_use]
pub fn resources(all: &[Resource]) -> Resources {
    let pairs = all.iter().map(|it| (it.name.clone(), it.amount));
    pairs.collect()
}

/// Reads a number with at most two decimals, in hundredths.
///
/// # Errors
///
/// It is none, or more than a million.
pub fn parse_hundredths(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no number from 0 to 1000000 with at most two decimals");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u32 = format!("{part:0<2}").parse().map_err(|_| wrong())?;
    if whole > 1_000_000 {
        return Err(wrong());
    }
    Ok(whole * 100 + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_need_a_key() {
        let pair = parse_key_value("note=a=b").unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("note", "a=b"));
        assert_eq!(parse_key_value("empty=").unwrap().value, "");
        assert!(parse_key_value("=x").is_err());
        assert!(parse_key_value("x").is_err());
    }

    #[test]
    fn resources_are_numbers_or_sizes() {
        let read = |text| parse_resource(text).map(|it| (it.name, it.amount));
        assert_eq!(read("memory=1.5G"), Ok(("memory".to_owned(), 3 << 29)));
        assert_eq!(read("licence=2"), Ok(("licence".to_owned(), 2)));
        for bad in ["memory", "=2", "memory=", "memory=much", "cores=-1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hundredths_are_read_exactly() {
        for (text, number) in [("0", 0), ("12", 1_200), ("0.5", 50), ("8.05", 805)] {
            assert_eq!(parse_hundredths(text), Ok(number), "{text}");
        }
        for bad in ["", ".", "1.", ".5", "1.234", "-1", "1e3", "NaN", "1000001"] {
            assert!(parse_hundredths(bad).is_err(), "{bad}");
        }
    }
}
