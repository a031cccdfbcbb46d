//! How busy the machine is.

/// The 1-minute load average in hundredths; 0 where the system does not say (only Linux has
/// `/proc/loadavg`, see proc(5)).
pub(crate) fn load() -> u32 {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| parse(&text))
        .unwrap_or(0)
}

fn parse(text: &str) -> Option<u32> {
    let (whole, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let whole: u32 = whole.parse().ok()?;
    let hundredths: u32 = hundredths.get(..2)?.parse().ok()?;
    whole.checked_mul(100)?.checked_add(hundredths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(parse("0.52 0.58 0.59 1/389 12345\n"), Some(52));
        assert_eq!(parse("12.07 0.58 0.59 1/389 12345\n"), Some(1207));
        for bad in ["", "x", "1", "1.", "1.2", "99999999999.00"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
