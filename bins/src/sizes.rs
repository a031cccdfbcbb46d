//! Sizes as people write them.

const UNITS: [(&str, u64); 4] = [
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
];

/// Reads `500M`, `10G`, `1.5T`, `20GiB`: powers of 1,024. A bare number counts bytes.
///
/// # Errors
///
/// It is none of these, or more than fits into 64 bits.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write 1000000, 500M, 10G or 1.5T");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit
        .strip_suffix("iB")
        .or_else(|| unit.strip_suffix('B'))
        .unwrap_or(unit);
    let unit = match unit {
        "" => 1,
        unit => {
            let found = UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit));
            found.ok_or_else(wrong)?.1
        }
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.is_empty() || part.len() > 9 || (unit == 1 && number.contains('.')) {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let digits: u64 = part.parse().map_err(|_| wrong())?;
    let tenths = 10_u128.pow(u32::try_from(part.len()).map_err(|_| wrong())?);
    let part = u128::from(digits) * u128::from(unit) / tenths;
    let whole = whole.checked_mul(unit).ok_or_else(wrong)?;
    let part = u64::try_from(part).map_err(|_| wrong())?;
    whole.checked_add(part).ok_or_else(wrong)
}

/// Bytes for people: `1.5 GiB`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}iB", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("123", 123),
            ("1K", 1_024),
            ("500M", 500 << 20),
            ("10GiB", 10 << 30),
            ("10g", 10 << 30),
            ("1.5T", 3 << 39),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "G",
            "-1",
            "1X",
            "1.G",
            "1.5",
            "99999999T",
            "1e3",
            "1..2G",
            "10 G",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(show_size(1_023), "1023 B");
        assert_eq!(show_size(3 << 29), "1.5 GiB");
        assert_eq!(show_size(u64::MAX), "16777215.9 TiB");
    }
}
