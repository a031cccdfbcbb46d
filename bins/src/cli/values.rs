//! Values on the command line.

use grange_model::Tags;

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
}
