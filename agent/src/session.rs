//! Sessions: runs of an agent, in order.

use grange_agent_core::Jitter;
use grange_model::{SessionId, Timestamp};
use uuid::Uuid;

/// A session that is greater than the last one. The coordinator refuses the lesser of two: with the
/// time alone, an agent whose clock was set back by an hour would be refused for that hour.
pub(crate) fn next(now: Timestamp, jitter: &mut Jitter, last: Option<SessionId>) -> SessionId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&jitter.draw().to_le_bytes());
    random[8..].copy_from_slice(&jitter.draw().to_le_bytes()[..2]);
    let fresh = uuid::Builder::from_unix_timestamp_millis(now.0, &random).into_uuid();
    match last {
        Some(SessionId(last)) if fresh <= last => {
            SessionId(Uuid::from_u128(last.as_u128().saturating_add(1)))
        }
        _ => SessionId(fresh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_even_if_the_clock_is_set_back() {
        let mut jitter = Jitter::new(1);
        let first = next(Timestamp(1_700_000_000_000), &mut jitter, None);
        assert_eq!(first.0.get_version_num(), 7);
        let second = next(Timestamp(1_600_000_000_000), &mut jitter, Some(first));
        assert!(second > first);
        let third = next(Timestamp(1_800_000_000_000), &mut jitter, Some(second));
        assert!(third > second);
    }
}
