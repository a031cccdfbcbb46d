//! Durations as people write them.

use std::time::Duration;

/// Reads `500ms`, `90s`, `10m`, `2h`, `1d` or a sum such as `1h30m`. A bare number counts seconds.
///
/// # Errors
///
/// It is none of these, is zero, or is longer than 10,000 days.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const LONGEST: u64 = 10_000 * 86_400_000;
    let wrong = || format!("`{text}` is no duration: write 500ms, 90s, 10m, 2h, 1d or 1h30m");
    let mut rest = text;
    let mut milliseconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" if digits == text.len() => 1_000,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        milliseconds = number
            .checked_mul(unit)
            .and_then(|more| more.checked_add(milliseconds))
            .ok_or_else(wrong)?;
    }
    match milliseconds {
        0 => Err(wrong()),
        1..=LONGEST => Ok(Duration::from_millis(milliseconds)),
        _ => Err(format!("`{text}` is longer than 10,000 days")),
    }
}

/// How many milliseconds it has.
#[must_use]
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds for people: the two greatest units.
#[must_use]
pub fn show_milliseconds(milliseconds: u64) -> String {
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    let mut rest = milliseconds;
    let mut parts = Vec::new();
    for (name, unit) in units {
        if rest >= unit {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() {
        format!("{milliseconds}ms")
    } else {
        parts.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        let milliseconds = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("90"), Ok(90_000));
        assert_eq!(milliseconds("500ms"), Ok(500));
        assert_eq!(milliseconds("1h30m"), Ok(5_400_000));
        assert_eq!(milliseconds("1d"), Ok(86_400_000));
        for wrong in [
            "",
            "0",
            "0s",
            "s",
            "1x",
            "1h30",
            "-1s",
            "1.5h",
            "99999999999999999999s",
            "20000d",
        ] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn people_see_two_units() {
        assert_eq!(show_milliseconds(0), "0ms");
        assert_eq!(show_milliseconds(999), "999ms");
        assert_eq!(show_milliseconds(61_500), "1m1s");
        assert_eq!(show_milliseconds(3_600_000), "1h");
        assert_eq!(show_milliseconds(90_061_000), "1d1h");
        assert_eq!(show_milliseconds(86_400_000 + 5_000), "1d");
    }
}
