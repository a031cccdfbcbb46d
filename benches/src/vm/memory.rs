//! What memory an emulator holds.

use anyhow::Context as _;

/// Memory of a process, in MiB (`/proc/PID/smaps_rollup`, proc(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Pages that it alone has and has written: what is given back when it ends. A page of a template's file that is only read belongs to the
    /// template, however many clones map it, and is no part of this.
    pub private_dirty: f64,
    /// All its pages, those that it shares divided by how many share them.
    pub proportional: f64,
}

/// What a process holds now.
///
/// # Errors
///
/// There is no such process, or it may not be looked at.
pub fn held(pid: u32) -> anyhow::Result<Held> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("cannot look at the memory of process {pid}"))?;
    parse(&text).context("the kernel does not say what memory it has")
}

fn parse(text: &str) -> Option<Held> {
    let mib = |what: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(what))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024.0)
    };
    Some(Held {
        private_dirty: mib("Private_Dirty:")?,
        proportional: mib("Pss:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mebibytes() {
        let text = "55d0-7ffd ---p 0 00:00 0 [rollup]\nRss: 9999 kB\nPss:   2048 kB\nPss_Dirty: 1 kB\nPrivate_Dirty:    512 kB\n";
        let expected = Held {
            private_dirty: 0.5,
            proportional: 2.0,
        };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("Pss: 1 kB\n"), None);
    }

    #[test]
    fn memory_that_is_written_counts() {
        let before = held(std::process::id()).unwrap();
        let written = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = held(std::process::id()).unwrap();
        drop(written);
        // Other tests may run at the same time.
        assert!(after.private_dirty - before.private_dirty > 32.0);
    }
}
