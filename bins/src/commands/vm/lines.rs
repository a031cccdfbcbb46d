//! What a guest says, for people.

/// Lines of a guest, which may be anything: of each no more is kept than somebody would read, and nothing but text.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    /// The last one.
    pub(super) last: String,
}

impl Lines {
    /// A line has at most so many bytes; what is longer becomes several.
    const MOST: usize = 4096;

    /// Adds what has come, and tells of each line that is whole.
    pub(super) fn push(&mut self, bytes: &[u8], mut tell: impl FnMut(&str)) {
        for byte in bytes {
            if *byte != b'\n' {
                self.begun.push(*byte);
            }
            if *byte == b'\n' || self.begun.len() == Self::MOST {
                let text = String::from_utf8_lossy(&self.begun);
                self.last = text.chars().filter(|c| !c.is_control()).collect();
                tell(&self.last);
                self.begun.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_says_is_cut_and_made_text() {
        let mut lines = Lines::default();
        let mut told = Vec::new();
        lines.push(b"one\ntw\xff\x1b[0m", |line| told.push(line.to_owned()));
        lines.push(b"o\n", |line| told.push(line.to_owned()));
        assert_eq!(told, ["one", "tw\u{fffd}[0mo"]);
        let mut lengths = Vec::new();
        lines.push(&[b'x'; 2 * Lines::MOST + 1], |line| {
            lengths.push(line.len())
        });
        assert_eq!(lengths, [Lines::MOST; 2]);
        assert_eq!(lines.begun.len(), 1);
    }
}
