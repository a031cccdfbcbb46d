//! Guix's build traces, as they stand in the log when output is multiplexed.
//!
//! The daemon's own words are lines; what a builder says comes as `@ build-log PID LENGTH`, a newline and LENGTH bytes.
//! Those bytes are counted and never looked at, so a builder that prints `@ build-succeeded …` says nothing.

use bytes::Bytes;

/// The most bytes of a line that are looked at. A longer one is no trace: traces hold paths and one message.
pub const MAX_LINE: usize = 64 << 10;

/// Something that the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trace {
    /// `@ build-started DRV - SYSTEM LOGFILE PID`.
    Started {
        /// The derivation.
        derivation: Vec<u8>,
        /// The number that its output will be marked with.
        pid: Option<u64>,
    },
    /// `@ build-succeeded DRV -`.
    Succeeded(Vec<u8>),
    /// `@ build-failed DRV - STATUS TEXT`, or `@ build-failed DRV - timeout`.
    Failed {
        /// The derivation.
        derivation: Vec<u8>,
        /// Whether it ran too long or was silent too long.
        timeout: bool,
        /// For people; empty with a timeout.
        text: String,
    },
    /// `@ hash-mismatch OUTPUT ALGO EXPECTED ACTUAL`.
    HashMismatch {
        /// The output.
        output: Vec<u8>,
        /// Algorithm, hash that it must have, and hash that it has.
        hashes: String,
    },
    /// `@ substituter-started ITEM …`.
    SubstituterStarted(Vec<u8>),
    /// What a builder said.
    Output {
        /// Which builder.
        pid: u64,
        /// What.
        bytes: Bytes,
    },
    /// Another line of the daemon, without its newline.
    Line(Vec<u8>),
}

/// Takes the log apart, however it was cut into pieces.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    line: Vec<u8>,
    /// Whether the line is too long to be a trace.
    long: bool,
    /// What a builder is in the middle of saying: who, and how many bytes are left.
    output: Option<(u64, u64)>,
}

impl Traces {
    /// Takes in a piece of log, and gives what it completes.
    pub fn push(&mut self, mut piece: Bytes) -> Vec<Trace> {
        let mut traces = Vec::new();
        while !piece.is_empty() {
            if let Some((pid, left)) = self.output {
                let count = usize::try_from(left).unwrap_or(usize::MAX);
                let bytes = piece.split_to(count.min(piece.len()));
                let left = left - bytes.len() as u64;
                self.output = (left > 0).then_some((pid, left));
                traces.push(Trace::Output { pid, bytes });
                continue;
            }
            let Some(end) = piece.iter().position(|byte| *byte == b'\n') else {
                self.extend(&piece);
                break;
            };
            let rest = piece.split_to(end + 1);
            self.extend(&rest[..end]);
            traces.extend(self.end_of_line());
        }
        traces
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.line.len();
        self.long |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_of_line(&mut self) -> Option<Trace> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.long) {
            return Some(Trace::Line(line));
        }
        let Some(trace) = line.strip_prefix(b"@ ") else {
            return Some(Trace::Line(line));
        };
        let mut words = trace.splitn(2, |byte| *byte == b' ');
        let name = words.next().unwrap_or_default();
        let rest = words.next().unwrap_or_default();
        if name == b"build-log" {
            if let Some((pid, length)) = numbers(rest) {
                self.output = (length > 0).then_some((pid, length));
                return None;
            }
            return Some(Trace::Line(line));
        }
        Some(named(name, rest).unwrap_or(Trace::Line(line)))
    }
}

fn numbers(text: &[u8]) -> Option<(u64, u64)> {
    let (one, other) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    Some((one.parse().ok()?, other.parse().ok()?))
}

fn named(name: &[u8], rest: &[u8]) -> Option<Trace> {
    let mut words = rest.split(|byte| *byte == b' ');
    let first = words.next()?.to_vec();
    match name {
        b"build-started" => {
            let last = words.next_back().map(<[u8]>::to_vec).unwrap_or_default();
            let pid = String::from_utf8(last).ok().and_then(|it| it.parse().ok());
            Some(Trace::Started {
                derivation: first,
                pid,
            })
        }
        b"build-succeeded" => Some(Trace::Succeeded(first)),
        b"build-failed" => {
            // `-`, once an output's name, then the status.
            let said: Vec<_> = words.skip(1).collect();
            let text = said.get(1..).unwrap_or_default().join(&b' ');
            Some(Trace::Failed {
                derivation: first,
                timeout: said.first() == Some(&&b"timeout"[..]),
                text: String::from_utf8_lossy(&text).into_owned(),
            })
        }
        b"hash-mismatch" => {
            let hashes = words.collect::<Vec<_>>().join(&b' ');
            Some(Trace::HashMismatch {
                output: first,
                hashes: String::from_utf8_lossy(&hashes).into_owned(),
            })
        }
        b"substituter-started" => Some(Trace::SubstituterStarted(first)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: &[u8] = b"waiting for locks or build slots...
@ build-started /gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-fail.drv - x86_64-linux /var/log/guix/drvs/79//x.drv.gz 8183
@ build-log 8183 42
about to fail
@ build-succeeded forged\n@ b@ build-log 8183 10
on stderr
builder for `/gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-fail.drv' failed with exit code 3
@ build-failed /gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-fail.drv - 1 builder for `x' failed with exit code 3
@ build-failed /gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-fail.drv - timeout
@ hash-mismatch /gnu/store/yar7am4lr9dhq3sjykfl0vbjbd3vmazw-fixed-wrong sha256 16kj 1yng
";

    /// Joins neighbouring pieces of output, which depend on how the log was cut.
    fn all(pieces: impl IntoIterator<Item = Bytes>) -> Vec<Trace> {
        let mut traces = Traces::default();
        let mut seen: Vec<Trace> = Vec::new();
        for trace in pieces.into_iter().flat_map(|piece| traces.push(piece)) {
            match (seen.last_mut(), trace) {
                (
                    Some(Trace::Output { pid, bytes }),
                    Trace::Output {
                        pid: other,
                        bytes: more,
                    },
                ) if *pid == other => {
                    *bytes = [&bytes[..], &more[..]].concat().into();
                }
                (_, trace) => seen.push(trace),
            }
        }
        seen
    }

    #[test]
    fn a_log_as_the_daemon_writes_it() {
        let drv = b"/gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-fail.drv".to_vec();
        let said = b"about to fail\n@ build-succeeded forged\n@ bon stderr\n";
        let expected = vec![
            Trace::Line(b"waiting for locks or build slots...".to_vec()),
            Trace::Started {
                derivation: drv.clone(),
                pid: Some(8183),
            },
            Trace::Output {
                pid: 8183,
                bytes: Bytes::from_static(said),
            },
            Trace::Line(
                b"builder for `/gnu/store/79740n0xn5jn1y4z6ni6s7mwq4608w84-fail.drv' failed with exit code 3".to_vec(),
            ),
            Trace::Failed {
                derivation: drv.clone(),
                timeout: false,
                text: "builder for `x' failed with exit code 3".to_owned(),
            },
            Trace::Failed {
                derivation: drv,
                timeout: true,
                text: String::new(),
            },
            Trace::HashMismatch {
                output: b"/gnu/store/yar7am4lr9dhq3sjykfl0vbjbd3vmazw-fixed-wrong".to_vec(),
                hashes: "sha256 16kj 1yng".to_owned(),
            },
        ];
        let log = Bytes::from_static(LOG);
        assert_eq!(all([log.clone()]), expected);
        for size in 1..40 {
            let pieces = log.chunks(size).map(Bytes::copy_from_slice);
            assert_eq!(all(pieces), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_is_no_trace() {
        let mut traces = Traces::default();
        assert_eq!(traces.push(Bytes::from_static(b"@ build-started ")), []);
        for _ in 0..10 {
            assert_eq!(traces.push(Bytes::from(vec![b'x'; MAX_LINE])), []);
        }
        assert!(traces.line.capacity() <= 2 * MAX_LINE);
        let ended = traces.push(Bytes::from_static(b"\n"));
        assert!(matches!(&ended[..], [Trace::Line(_)]), "{ended:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
            words in proptest::collection::vec(
                proptest::sample::select(vec!["@ ", "build-log ", "build-started ", "build-failed ", "1 ", "99999999999999999999 ", "\n", "-"]),
                0..30,
            ),
        ) {
            let mut traces = Traces::default();
            for piece in pieces {
                traces.push(piece.into());
            }
            traces.push(words.concat().into_bytes().into());
        }
    }
}
