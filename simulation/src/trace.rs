//! What happened, as one number, and as lines for those who ask.

use crate::time::Moment;

/// A digest of all that happened so far.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

/// The longest line, in bytes.
const LINE: usize = 300;

impl Trace {
    /// `lines`: keep a line for each event, too.
    pub(crate) fn new(lines: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: lines.then(Vec::new),
        }
    }

    /// FNV-1a, a word at a time: what differs anywhere differs in the end.
    pub(crate) fn fold(&mut self, word: u64) {
        self.hash = (self.hash ^ word)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(23);
    }

    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn say(&mut self, now: Moment, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let milliseconds = now.0 / 1_000;
            let (seconds, milliseconds) = (milliseconds / 1_000, milliseconds % 1_000);
            let mut line = line();
            if line.len() > LINE {
                let end = (0..=LINE).rev().find(|at| line.is_char_boundary(*at));
                line.truncate(end.unwrap_or(0));
                line.push('…');
            }
            lines.push(format!("{seconds:>6}.{milliseconds:03} {line}"));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
