//! How the machine does, as Linux says it (proc(5); pressure stall information: Documentation/accounting/psi.rst of the
//! kernel). Where it does not say, nothing speaks against more builds.

use grange_interfaces::message::Health;

/// The 1-minute load average in hundredths; 0 where the system does not say.
pub(crate) fn load() -> u32 {
    read("/proc/loadavg")
        .and_then(|text| hundredths(text.split_whitespace().next()?))
        .unwrap_or(0)
}

/// What there is beside the load.
pub(crate) fn health(disk_free: Option<u64>) -> Health {
    let pressure = |what: &str, line: &str| {
        read(&format!("/proc/pressure/{what}"))
            .and_then(|text| average(&text, line))
            .unwrap_or(0)
    };
    Health {
        cpu_pressure: pressure("cpu", "some"),
        memory_pressure: pressure("memory", "full"),
        io_pressure: pressure("io", "full"),
        disk_free,
    }
}

/// How often the kernel has killed a process for want of memory since the machine was started, if it counts that.
pub(crate) fn memory_kills() -> Option<u64> {
    let text = read("/proc/vmstat")?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count?.trim().parse().ok()
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

/// `avg10` of a line, in hundredths.
fn average(text: &str, line: &str) -> Option<u32> {
    let line = text.lines().find(|it| it.starts_with(line))?;
    let words = line.split_whitespace();
    hundredths(words.into_iter().find_map(|it| it.strip_prefix("avg10="))?)
}

fn hundredths(number: &str) -> Option<u32> {
    let (whole, hundredths) = number.split_once('.')?;
    let whole: u32 = whole.parse().ok()?;
    let hundredths: u32 = hundredths.get(..2)?.parse().ok()?;
    whole.checked_mul(100)?.checked_add(hundredths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(hundredths("0.52"), Some(52));
        assert_eq!(hundredths("12.07"), Some(1207));
        for bad in ["", "x", "1", "1.", "1.2", "99999999999.00"] {
            assert_eq!(hundredths(bad), None, "{bad}");
        }
        let text = "some avg10=6.59 avg60=2.68 avg300=34.32 total=1320957096\n\
                    full avg10=0.25 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(average(text, "some"), Some(659));
        assert_eq!(average(text, "full"), Some(25));
        assert_eq!(average("some avg60=1.00", "some"), None);
    }
}
