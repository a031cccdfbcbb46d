//! What a server lets others do.

use std::time::Duration;

/// What a server lets others do. Every default is safe on a machine with 1 GiB of memory that
/// strangers can reach.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of all headers of a request: 16 KiB. More are answered with status 431.
    pub header_bytes: usize,
    /// Headers of a request: 100. More are answered with status 431.
    pub headers: usize,
    /// Bytes of a request's path and query: 256. More are answered with status 414.
    pub path_bytes: usize,
    /// How long a connection may take for its TLS handshake, and then for the headers of a request
    /// once it has begun with them: 15 s.
    pub header_time: Duration,
    /// How long a connection may stay open without a request: 90 s. Ours close theirs after 60 s, so
    /// that no request meets a connection that is being closed.
    pub idle_time: Duration,
    /// Bytes of a message's line: 4 MiB. A submission of 1,000 builds has about 0.3 MiB.
    pub message_bytes: usize,
    /// Bytes of all long lines (over 64 KiB) that are read or worked on at once: 256 MiB. Beyond,
    /// calls are answered as busy.
    pub message_memory_bytes: usize,
    /// Bytes of the body of one `AppendLog`: 1 GiB.
    pub log_bytes: u64,
    /// Bytes of the body of one `AppendUpload`: 16 GiB. A larger output takes several appends.
    pub upload_bytes: u64,
    /// Bytes of the body of one `PutDerivations`: 1 GiB.
    pub derivations_bytes: u64,
    /// Bytes of the body of one `PutItems`: 16 GiB.
    pub items_bytes: u64,
    /// How long to wait for the next bytes of a body, and for a receiver to take the next bytes of an
    /// answer: 60 s.
    pub stall_time: Duration,
    /// Bytes a second that a body must have on average, beyond the first `stall_time`: 128. Only time
    /// spent waiting for the sender counts.
    pub min_bytes_per_second: u64,
    /// Open connections: 4,096. For a further one, that is closed which has had no request for the longest time; if all
    /// have one, it is told to come again, and closed. Each takes 10 KiB to
    /// 200 KiB while it is used over HTTP/1.1, and at most 5 MiB over HTTP/2.
    pub connections: usize,
    /// Requests at once on one HTTP/2 connection: 128.
    pub streams: u32,
    /// Calls at once on all connections: 16,384. Further ones are answered as busy.
    pub calls: usize,
    /// How long running calls may take when the server stops: 10 s. Long polls are answered at once.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 16 << 10,
            headers: 100,
            path_bytes: 256,
            header_time: Duration::from_secs(15),
            idle_time: Duration::from_secs(90),
            message_bytes: 4 << 20,
            message_memory_bytes: 256 << 20,
            log_bytes: 1 << 30,
            upload_bytes: 16 << 30,
            derivations_bytes: 1 << 30,
            items_bytes: 16 << 30,
            stall_time: Duration::from_secs(60),
            min_bytes_per_second: 128,
            connections: 4096,
            streams: 128,
            calls: 16_384,
            stop_time: Duration::from_secs(10),
        }
    }
}

/// Limits with which a server could not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit {name} must be from {least} to {most}")]
pub struct LimitsError {
    /// Which.
    pub name: &'static str,
    /// The least that it may be.
    pub least: u64,
    /// The most that it may be.
    pub most: u64,
}

impl Limits {
    /// Whether a server can work with them.
    ///
    /// # Errors
    ///
    /// The first that is out of its range.
    pub fn check(&self) -> Result<(), LimitsError> {
        const MOST_CALLS: u64 = 1 << 24;
        let checks: [(&'static str, u64, u64, u64); 11] = [
            ("header_bytes", self.header_bytes as u64, 1 << 10, 1 << 20),
            ("headers", self.headers as u64, 16, 10_000),
            ("path_bytes", self.path_bytes as u64, 16, 1 << 16),
            ("message_bytes", self.message_bytes as u64, 1 << 10, 1 << 30),
            (
                "message_memory_bytes",
                self.message_memory_bytes as u64,
                self.message_bytes as u64,
                1 << 40,
            ),
            ("connections", self.connections as u64, 1, MOST_CALLS),
            ("streams", u64::from(self.streams), 1, 1 << 16),
            ("calls", self.calls as u64, 1, MOST_CALLS),
            (
                "header_time (milliseconds)",
                millis(self.header_time),
                10,
                u64::MAX,
            ),
            (
                "idle_time (milliseconds)",
                millis(self.idle_time),
                10,
                u64::MAX,
            ),
            (
                "stall_time (milliseconds)",
                millis(self.stall_time),
                10,
                u64::MAX,
            ),
        ];
        match checks
            .into_iter()
            .find(|(_, value, least, most)| value < least || value > most)
        {
            Some((name, _, least, most)) => Err(LimitsError { name, least, most }),
            None => Ok(()),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_zeroes_are_not() {
        assert_eq!(Limits::default().check(), Ok(()));
        let none = Limits {
            connections: 0,
            ..Limits::default()
        };
        assert_eq!(
            none.check().unwrap_err().to_string(),
            "the limit connections must be from 1 to 16777216"
        );
        let short = Limits {
            message_memory_bytes: 1,
            ..Limits::default()
        };
        assert_eq!(short.check().unwrap_err().name, "message_memory_bytes");
    }
}
