//! Two ends without a wire, and one end against anything.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::{Ended, Mode, Mux, Side};
use crate::protocol::{Frame, Kind, ProtocolError, WINDOW};

/// A window, as a length.
const FULL: usize = WINDOW as usize;

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The next frame, if there is one now.
fn sent(mux: &Mux) -> Option<Frame> {
    match mux.poll_transmit(&cx()) {
        Poll::Ready(frame) => frame,
        Poll::Pending => None,
    }
}

/// Carries frames until neither end has any. Gives the streams that were opened.
fn settle(one: &Mux, other: &Mux) -> Vec<u32> {
    let mut opened = Vec::new();
    loop {
        let (there, back) = (sent(one), sent(other));
        if there.is_none() && back.is_none() {
            return opened;
        }
        for (frame, to) in [(there, other), (back, one)] {
            if let Some(frame) = frame {
                opened.extend(to.handle(frame).unwrap().map(|opened| opened.stream));
            }
        }
    }
}

/// An opener, an accepter, and a stream between them.
fn pair(mode: Mode) -> (Mux, Mux, u32) {
    let (host, guest) = (Mux::new(Side::Opener, mode), Mux::new(Side::Accepter, mode));
    let stream = host.open(Vec::new()).unwrap();
    assert_eq!(settle(&host, &guest), [stream]);
    (host, guest, stream)
}

/// Writes as much as goes, and gives how much that was.
fn fill(mux: &Mux, stream: u32, channel: u8) -> usize {
    let mut total = 0;
    while let Poll::Ready(count) = mux.poll_write(stream, channel, &[1; 1000], &cx()) {
        total += count.unwrap();
    }
    total
}

/// Reads as much as is there; none at the end.
fn read(mux: &Mux, stream: u32, channel: u8) -> Option<usize> {
    let (mut total, mut bytes) = (0, [0; 1000]);
    loop {
        match mux.poll_read(stream, channel, &mut bytes, &cx()) {
            Poll::Ready(Ok(0)) => return (total > 0).then_some(total),
            Poll::Ready(Ok(count)) => total += count,
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => return Some(total),
        }
    }
}

#[test]
fn a_channel_carries_a_window_until_it_is_read() {
    let (host, guest, stream) = pair(Mode::Control);
    let mut written = 0;
    for _ in 0..20 {
        written += fill(&guest, stream, 0);
        settle(&host, &guest);
    }
    // What waits behind the window is bounded as well.
    assert_eq!(written, FULL + 64 * 1024);
    // The other channel has a window of its own.
    assert_eq!(fill(&guest, stream, 1), 64 * 1024);
    settle(&host, &guest);
    assert_eq!(read(&host, stream, 1), Some(64 * 1024));
    assert_eq!(read(&host, stream, 0), Some(FULL));
    settle(&host, &guest);
    assert_eq!(read(&host, stream, 0), Some(64 * 1024));
}

#[test]
fn streams_take_turns() {
    let (host, guest, first) = pair(Mode::Control);
    let second = host.open(Vec::new()).unwrap();
    settle(&host, &guest);
    fill(&guest, first, 0);
    fill(&guest, second, 0);
    let order: Vec<u32> = std::iter::from_fn(|| sent(&guest))
        .map(|frame| frame.stream)
        .collect();
    assert_eq!(order, [first, second, first, second]);
}

#[test]
fn the_last_answer_comes_after_all_data() {
    let (host, guest, stream) = pair(Mode::Control);
    fill(&guest, stream, 0);
    guest.finish(stream, 0);
    guest.conclude(stream, b"last".to_vec());
    assert!(host.poll_answer(stream, &cx()).is_pending());
    settle(&host, &guest);
    assert_eq!(read(&host, stream, 0), Some(64 * 1024));
    assert_eq!(read(&host, stream, 0), None);
    assert!(matches!(host.poll_answer(stream, &cx()), Poll::Ready(Ok(last)) if last == b"last"));
    assert!(matches!(
        host.poll_answer(stream, &cx()),
        Poll::Ready(Err(None))
    ));
    // Both ends have forgotten it: what is still said about it is ignored.
    host.close(stream);
    assert_eq!(sent(&host), None);
    let late = Frame::data(stream, 0, vec![1; FULL / 4]);
    for _ in 0..9 {
        assert!(guest.handle(late.clone()).unwrap().is_none());
    }
}

#[test]
fn a_stream_that_is_closed_is_closed_at_both_ends() {
    let (host, guest, stream) = pair(Mode::Control);
    host.release(stream);
    settle(&host, &guest);
    assert!(matches!(
        guest.poll_answer(stream, &cx()),
        Poll::Ready(Err(None))
    ));
    assert!(matches!(
        guest.poll_write(stream, 0, b"x", &cx()),
        Poll::Ready(Err(_))
    ));
    assert!(matches!(
        guest.poll_read(stream, 0, &mut [0], &cx()),
        Poll::Ready(Err(_))
    ));
    guest.conclude(stream, b"too late".to_vec());
    assert_eq!(sent(&guest), None);
}

#[test]
fn what_nobody_reads_is_credited() {
    let (host, guest, stream) = pair(Mode::Control);
    host.discard(stream, 1);
    let mut written = 0;
    for _ in 0..20 {
        written += fill(&guest, stream, 1);
        settle(&host, &guest);
    }
    assert_eq!(written, 20 * 64 * 1024);
}

#[test]
fn a_relayed_stream_is_over_when_both_ends_have_said_all() {
    let (guest, host, stream) = pair(Mode::Relay);
    assert!(guest.poll_write(stream, 0, b"there", &cx()).is_ready());
    assert!(guest.poll_finish(stream, 0, &cx()).is_pending());
    settle(&guest, &host);
    assert!(guest.poll_finish(stream, 0, &cx()).is_ready());
    assert_eq!(read(&host, stream, 0), Some(5));
    assert_eq!(read(&host, stream, 0), None);
    host.finish(stream, 0);
    settle(&guest, &host);
    for end in [&guest, &host] {
        end.release(stream);
        assert_eq!(sent(end), None, "it is over, so nothing is to be said");
    }
}

#[test]
fn too_many_streams_are_not_opened_and_not_taken() {
    let (host, guest, _) = pair(Mode::Relay);
    while host.open(Vec::new()).is_some() {}
    settle(&host, &guest);
    // One that keeps to no limit.
    let opened = guest
        .handle(Frame::new(Kind::Open, 9999, Vec::new()))
        .unwrap();
    assert!(opened.is_none());
    assert_eq!(
        sent(&guest),
        Some(Frame::new(Kind::Close, 9999, Vec::new()))
    );
}

#[test]
fn who_wants_answers_and_takes_none_is_left() {
    let host = Mux::new(Side::Accepter, Mode::Relay);
    for stream in 1..100_000 {
        // Each is closed at once, which is to be said, but nobody takes it.
        match host
            .handle(Frame::new(Kind::Open, stream, Vec::new()))
            .unwrap()
        {
            Some(opened) => host.release(opened.stream),
            None => break,
        }
    }
    assert!(matches!(host.ended(), Some(Ended::Flood)));
    assert_eq!(sent(&host), None);
}

#[test]
fn errors_come_from_the_guest_alone() {
    let (host, guest, stream) = pair(Mode::Control);
    let kind = Kind::Data;
    let wrong = guest.handle(Frame::data(stream, 1, vec![1]));
    assert_eq!(
        wrong.unwrap_err(),
        ProtocolError::Unexpected { kind, stream }
    );
    assert!(host.handle(Frame::data(stream, 1, vec![1])).is_ok());
    let (_, host, stream) = pair(Mode::Relay);
    let wrong = host.handle(Frame::data(stream, 1, vec![1]));
    assert_eq!(
        wrong.unwrap_err(),
        ProtocolError::Unexpected { kind, stream }
    );
}

#[test]
fn the_end_wakes_and_refuses_everything() {
    let (host, _, stream) = pair(Mode::Control);
    host.end(Ended::Eof, Some(Frame::broken("because")));
    assert_eq!(sent(&host).map(|frame| frame.kind), Some(Kind::Broken));
    assert!(matches!(host.poll_transmit(&cx()), Poll::Ready(None)));
    assert!(matches!(
        host.poll_answer(stream, &cx()),
        Poll::Ready(Err(Some(Ended::Eof)))
    ));
    assert!(matches!(
        host.poll_write(stream, 0, b"x", &cx()),
        Poll::Ready(Err(_))
    ));
    assert!(host.open(Vec::new()).is_none());
    host.end(Ended::Flood, None);
    assert!(matches!(host.ended(), Some(Ended::Eof)));
}

/// Frames of any kind, mostly about streams that are there.
fn anything() -> impl Strategy<Value = Frame> {
    let kind = prop::sample::select(vec![
        Kind::Open,
        Kind::Answer,
        Kind::Data,
        Kind::End,
        Kind::Credit,
        Kind::Close,
        Kind::Progress,
    ]);
    (kind, 0_u8..2, 1_u32..6, 0_usize..70_000, any::<u32>()).prop_map(
        |(kind, channel, stream, length, credit)| match kind {
            Kind::Data => Frame::data(stream, channel, vec![0; length.clamp(1, 65_536)]),
            Kind::Credit => Frame::credit(stream, channel, credit % (2 * WINDOW)),
            kind => Frame {
                kind,
                channel,
                stream,
                payload: Vec::new(),
            },
        },
    )
}

proptest! {
    /// Whatever comes, an end holds no more than its windows, and says what was wrong.
    #[test]
    fn no_frames_make_an_end_hold_more_than_its_windows(
        frames in prop::collection::vec(anything(), 0..200),
        opener in any::<bool>(),
        relay in any::<bool>(),
    ) {
        let side = if opener { Side::Opener } else { Side::Accepter };
        let mux = Mux::new(side, if relay { Mode::Relay } else { Mode::Control });
        if opener {
            for _ in 0..5 {
                mux.open(Vec::new());
            }
        }
        let mut taken = [0_u64; 12];
        for frame in frames {
            let data = frame.kind == Kind::Data;
            let at = usize::try_from(frame.stream * 2).unwrap() + usize::from(frame.channel);
            let length = frame.payload.len() as u64;
            match mux.handle(frame) {
                // For streams that are no more it is thrown away.
                Ok(_) if data => taken[at] += length,
                Ok(_) => {}
                Err(ProtocolError::Window(_)) => prop_assert!(data),
                Err(_) => {}
            }
        }
        for stream in 1..6_u32 {
            for channel in 0..2_u8 {
                let mut bytes = vec![0; FULL + 1];
                if let Poll::Ready(Ok(count)) = mux.poll_read(stream, channel, &mut bytes, &cx()) {
                    prop_assert!(count <= FULL);
                    let at = usize::try_from(stream * 2).unwrap() + usize::from(channel);
                    prop_assert!(count as u64 <= taken[at]);
                }
            }
        }
    }
}
