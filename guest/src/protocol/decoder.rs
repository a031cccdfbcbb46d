//! Frames out of bytes, however they are cut.

use super::error::ProtocolError;
use super::frame::{END, Frame, HEAD, Kind, MAGIC, MAX_HELLO, NONCE, Nonce};

/// Takes bytes as they come and gives frames.
///
/// It holds at most one frame more than was pushed at once: take all frames before pushing again.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Everything before this was used.
    start: usize,
    /// What is looked for, everything else being skipped.
    lost: Option<Beacon>,
    side: Beacon,
    skipped: u64,
}

/// What a conversation begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beacon {
    Hello,
    Welcome(Nonce),
}

/// What the head of a frame says.
struct Head {
    kind: Kind,
    channel: u8,
    stream: u32,
    length: usize,
}

impl Decoder {
    /// The guest's: skips everything until a hello; also again after an error.
    #[must_use]
    pub fn guest() -> Self {
        Self::new(Beacon::Hello)
    }

    /// The host's: skips everything until the answer to the hello with this nonce. After an error nothing comes any more.
    #[must_use]
    pub fn host(nonce: Nonce) -> Self {
        Self::new(Beacon::Welcome(nonce))
    }

    fn new(side: Beacon) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            lost: Some(side),
            side,
            skipped: 0,
        }
    }

    /// More bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame; none if more bytes are needed.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes. From there on they are skipped, until a conversation begins.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ProtocolError> {
        if self.lost.is_some() {
            return Ok(self.seek());
        }
        if self.side == Beacon::Hello {
            // A break between frames.
            let zeros = self.rest().iter().take_while(|byte| **byte == 0).count();
            self.start += zeros;
        }
        let parsed = self.parse();
        match parsed {
            Ok(None) => {}
            Ok(Some(ref frame)) => self.start += HEAD + frame.payload.len() + 1,
            Err(_) => self.lose(),
        }
        parsed
    }

    /// Skips from here on, until a conversation begins.
    pub fn lose(&mut self) {
        self.lost = Some(self.side);
    }

    /// Bytes that were skipped so far, breaks between frames apart.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Reads the frame that begins here.
    fn parse(&self) -> Result<Option<Frame>, ProtocolError> {
        let rest = self.rest();
        let Some(head) = head(rest)? else {
            return Ok(None);
        };
        let Some(end) = rest.get(HEAD + head.length) else {
            return Ok(None);
        };
        if *end != END {
            return Err(ProtocolError::End(head.kind));
        }
        Ok(Some(Frame {
            kind: head.kind,
            channel: head.channel,
            stream: head.stream,
            payload: rest[HEAD..HEAD + head.length].to_vec(),
        }))
    }

    /// Looks for the beginning of a conversation.
    fn seek(&mut self) -> Option<Frame> {
        loop {
            let rest = self.rest();
            let at = rest
                .windows(MAGIC.len())
                .position(|window| window == MAGIC)
                // Its first bytes may lie at the end.
                .unwrap_or_else(|| rest.len().saturating_sub(MAGIC.len() - 1));
            self.skip(at);
            let rest = self.rest();
            if rest.len() < MAGIC.len() {
                return None;
            }
            match (self.is_beacon(), self.parse()) {
                (None, _) | (Some(true), Ok(None)) => return None,
                (Some(true), Ok(Some(frame))) => {
                    self.start += HEAD + frame.payload.len() + 1;
                    self.lost = None;
                    return Some(frame);
                }
                _ => self.skip(1),
            }
        }
    }

    /// Whether what is looked for begins here; none if more bytes are needed.
    fn is_beacon(&self) -> Option<bool> {
        let rest = self.rest();
        let head = match head(rest) {
            Ok(head) => head?,
            Err(_) => return Some(false),
        };
        match self.side {
            Beacon::Hello => Some(head.kind == Kind::Hello),
            Beacon::Welcome(_) if head.kind != Kind::Welcome => Some(false),
            Beacon::Welcome(nonce) => {
                let found = rest.get(HEAD..HEAD + NONCE)?;
                Some(found == nonce)
            }
        }
    }

    fn skip(&mut self, count: usize) {
        self.start += count;
        self.skipped += count as u64;
    }
}

/// Reads the head that `bytes` begin with; none if there are too few. What is wrong is said as early as it can be seen.
fn head(bytes: &[u8]) -> Result<Option<Head>, ProtocolError> {
    let wrong = bytes
        .iter()
        .zip(MAGIC)
        .find(|(found, expected)| *found != expected);
    if let Some((found, _)) = wrong {
        return Err(ProtocolError::Magic(*found));
    }
    let Some(bytes) = bytes.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let [
        _,
        _,
        _,
        _,
        kind,
        channel,
        zero,
        nought,
        s0,
        s1,
        s2,
        s3,
        l0,
        l1,
        l2,
        l3,
    ] = *bytes;
    let stream = u32::from_be_bytes([s0, s1, s2, s3]);
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    let kind = Kind::from_byte(kind).ok_or(ProtocolError::Kind(kind))?;
    if channel > 1 {
        return Err(ProtocolError::Channel(channel));
    }
    if (zero, nought) != (0, 0) {
        return Err(ProtocolError::Reserved);
    }
    if kind.is_global() != (stream == 0) {
        return Err(ProtocolError::Stream { kind, stream });
    }
    let (least, most) = kind.lengths();
    match usize::try_from(length) {
        Ok(length) if (least..=most).contains(&length) => Ok(Some(Head {
            kind,
            channel,
            stream,
            length,
        })),
        _ => Err(ProtocolError::Length { kind, length }),
    }
}

// What is looked for is short, so that what only looks like it is soon seen through.
const _: () = assert!(MAX_HELLO < super::frame::BREAK);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::{BREAK, MAX_PAYLOAD};
    use super::*;

    const NONCES: [Nonce; 2] = [[7; NONCE], [9; NONCE]];

    fn hello(kind: Kind, nonce: Nonce) -> Frame {
        let payload = [nonce.as_slice(), b"{}"].concat();
        Frame::new(kind, 0, payload)
    }

    fn bytes(frames: &[Frame]) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in frames {
            frame.encode(&mut out).unwrap();
        }
        out
    }

    /// All frames and errors that come of `bytes`, pushed in pieces.
    fn decode(
        decoder: &mut Decoder,
        bytes: &[u8],
        piece: usize,
    ) -> Vec<Result<Frame, ProtocolError>> {
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            loop {
                match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => found.push(Ok(frame)),
                    Err(error) => found.push(Err(error)),
                }
            }
            let held = decoder.bytes.len() - decoder.start;
            assert!(held <= BREAK + piece.len(), "{held} bytes are held");
        }
        found
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let payload = prop::collection::vec(any::<u8>(), 1..200);
        (3_u8..9, 0_u8..2, 1_u32.., payload).prop_map(|(kind, channel, stream, mut payload)| {
            let kind = Kind::from_byte(kind).unwrap();
            let (_, most) = kind.lengths();
            payload.truncate(most);
            if kind == Kind::Credit {
                payload.resize(4, 1);
            }
            Frame {
                kind,
                channel,
                stream,
                payload,
            }
        })
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(frames in prop::collection::vec(frame(), 0..9), piece in 1_usize..99) {
            let mut all = vec![hello(Kind::Welcome, NONCES[0])];
            all.extend(frames);
            let mut decoder = Decoder::host(NONCES[0]);
            let found = decode(&mut decoder, &bytes(&all), piece);
            prop_assert_eq!(found, all.into_iter().map(Ok).collect::<Vec<_>>());
        }

        #[test]
        fn a_hello_after_a_break_is_found_after_anything(
            before in prop::collection::vec(frame(), 0..4),
            cut in any::<prop::sample::Index>(),
            noise in prop::collection::vec(any::<u8>(), 0..99),
            begun in any::<bool>(),
        ) {
            let mut sent = if begun { bytes(&[hello(Kind::Hello, NONCES[0])]) } else { Vec::new() };
            let rest = bytes(&before);
            sent.extend(&rest[..cut.index(rest.len() + 1)]);
            sent.extend(noise);
            sent.extend([0; BREAK]);
            let last = [hello(Kind::Hello, NONCES[1]), Frame::new(Kind::Close, 3, Vec::new())];
            sent.extend(bytes(&last));
            let found = decode(&mut Decoder::guest(), &sent, 4096);
            prop_assert!(found.ends_with(&last.map(Ok)), "{found:?}");
        }

        #[test]
        fn the_host_skips_until_its_own_answer(noise in prop::collection::vec(any::<u8>(), 0..999)) {
            let answers = [hello(Kind::Welcome, NONCES[1]), hello(Kind::Welcome, NONCES[0])];
            let sent = [noise, bytes(&answers)].concat();
            let found = decode(&mut Decoder::host(NONCES[0]), &sent, 64);
            prop_assert_eq!(found, vec![Ok(answers[1].clone())]);
        }
    }

    #[test]
    fn half_a_frame_and_a_break_are_no_frame() {
        let long = Frame::data(1, 0, vec![1; MAX_PAYLOAD]);
        let whole = bytes(&[hello(Kind::Hello, NONCES[0]), long]);
        let cut = whole.len() - 1;
        let sent = [
            &whole[..cut],
            &[0; BREAK],
            &bytes(&[hello(Kind::Hello, NONCES[1])]),
        ]
        .concat();
        let found = decode(&mut Decoder::guest(), &sent, 4096);
        assert_eq!(
            found[1..],
            [
                Err(ProtocolError::End(Kind::Data)),
                Ok(hello(Kind::Hello, NONCES[1]))
            ]
        );
    }

    #[test]
    fn each_part_of_a_head_is_checked() {
        let good = bytes(&[Frame::data(1, 0, b"x".to_vec())]);
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            let mut decoder = Decoder::host(NONCES[0]);
            let sent = [bytes(&[hello(Kind::Welcome, NONCES[0])]), bad].concat();
            decode(&mut decoder, &sent, sent.len())[1]
                .clone()
                .unwrap_err()
        };
        let (kind, stream) = (Kind::Data, 0);
        assert_eq!(with(0, 0), ProtocolError::Magic(0));
        assert_eq!(with(3, 1), ProtocolError::Magic(1));
        assert_eq!(with(4, 99), ProtocolError::Kind(99));
        assert_eq!(with(5, 2), ProtocolError::Channel(2));
        assert_eq!(with(7, 1), ProtocolError::Reserved);
        assert_eq!(with(11, 0), ProtocolError::Stream { kind, stream });
        assert_eq!(with(15, 0), ProtocolError::Length { kind, length: 0 });
        let length = 0x0100_0001;
        assert_eq!(with(12, 1), ProtocolError::Length { kind, length });
        assert_eq!(with(17, 0), ProtocolError::End(kind));
    }

    #[test]
    fn a_payload_that_is_too_long_is_not_written() {
        let mut out = Vec::new();
        let frame = Frame::data(1, 0, vec![0; MAX_PAYLOAD + 1]);
        assert!(matches!(
            frame.encode(&mut out),
            Err(ProtocolError::Length { .. })
        ));
        assert!(out.is_empty());
    }
}
