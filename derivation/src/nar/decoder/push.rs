//! The push decoder.

use super::state::{Literal, State, Text};
use crate::nar::wire::{self, is_name, is_target, padding};
use crate::nar::{Error, Event, MAX_DEPTH, MAX_NAME, MAX_TARGET};
use crate::store_path::printable;

/// Decodes a nar from slices as they come. Strict, bounded in memory, and free of I/O.
///
/// ```
/// use grange_derivation::nar::{Decoder, Encoder, Event};
///
/// let mut encoder = Encoder::new(Vec::new());
/// encoder.regular(false, 5)?;
/// encoder.data(b"hello")?;
/// let (nar, _size) = encoder.finish()?;
///
/// let (mut decoder, mut contents) = (Decoder::new(), Vec::new());
/// for mut piece in nar.chunks(7) {
///     while let Some(event) = decoder.decode(&mut piece)? {
///         if let Event::Data(bytes) = event {
///             contents.extend_from_slice(bytes);
///         }
///     }
/// }
/// decoder.finish()?;
/// assert_eq!(contents, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    /// Bytes taken so far.
    offset: u64,
    /// The start of something that was cut by the end of a slice.
    held: Vec<u8>,
    /// For each open directory, the name of its last entry; beyond `depth`, buffers to use again.
    names: Vec<Vec<u8>>,
    depth: usize,
    target: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a nar.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Literal(Literal::Magic, 0),
            offset: 0,
            held: Vec::new(),
            names: Vec::new(),
            depth: 0,
            target: Vec::new(),
        }
    }

    /// Takes bytes off the front of `input` up to the next event. `None` means that all of them were taken and more are
    /// needed, or that the nar has ended ([`Decoder::is_complete`]).
    ///
    /// A reader that does not know where the nar ends stops calling this as soon as it is complete; what is left of
    /// `input` follows the nar.
    ///
    /// # Errors
    /// If the bytes are not a nar, or go on after its end. The decoder is of no use then.
    pub fn decode<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'a>>, Error> {
        loop {
            match self.state {
                State::Literal(literal, done) => {
                    if !self.literal(input, literal, done)? {
                        return Ok(None);
                    }
                    if let Some(event) = self.after(literal)? {
                        return Ok(Some(event));
                    }
                }
                State::Type | State::ExecutableOrContents | State::EntryOrClose => {
                    let Some(word) = self.take::<16>(input) else {
                        return Ok(None);
                    };
                    if let Some(event) = self.choose(&word)? {
                        return Ok(Some(event));
                    }
                }
                State::Size { executable } => {
                    let Some(size) = self.take(input).map(u64::from_le_bytes) else {
                        return Ok(None);
                    };
                    if size > i64::MAX as u64 {
                        return Err(Error::FileSize {
                            offset: self.offset - 8,
                            size,
                        });
                    }
                    self.state = State::Data {
                        left: size,
                        padding: padding(size),
                    };
                    return Ok(Some(Event::Regular { executable, size }));
                }
                State::Length(text) => {
                    let Some(length) = self.take(input).map(u64::from_le_bytes) else {
                        return Ok(None);
                    };
                    let (what, most) = match text {
                        Text::Name => ("name", MAX_NAME),
                        Text::Target => ("target", MAX_TARGET),
                    };
                    match usize::try_from(length) {
                        Ok(length) if length <= most => self.state = State::Text(text, length),
                        _ => {
                            return Err(Error::TooLong {
                                what,
                                offset: self.offset - 8,
                                length,
                            });
                        }
                    }
                }
                State::Text(text, length) => {
                    if !self.hold(input, length + padding(length as u64)) {
                        return Ok(None);
                    }
                    return self.text(text, length).map(Some);
                }
                State::Data { left: 0, padding } => self.state = State::Padding(padding),
                State::Data { left, padding } => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (data, rest) = input.split_at(count);
                    *input = rest;
                    self.offset += count as u64;
                    self.state = State::Data {
                        left: left - count as u64,
                        padding,
                    };
                    return Ok(Some(Event::Data(data)));
                }
                State::Padding(length) => {
                    if !self.hold(input, length) {
                        return Ok(None);
                    }
                    self.zeros_after(0)?;
                    self.state = State::Literal(Literal::Close { regular: true }, 0);
                }
                State::End if input.is_empty() => return Ok(None),
                State::End => {
                    return Err(Error::Trailing {
                        offset: self.offset,
                    });
                }
            }
        }
    }

    /// Whether the nar has ended.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// How many bytes were taken; the nar's size when it is complete.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Ends decoding, and returns the nar's size.
    ///
    /// # Errors
    /// If the nar is not complete.
    pub fn finish(&self) -> Result<u64, Error> {
        if self.is_complete() {
            return Ok(self.offset);
        }
        Err(Error::Truncated {
            offset: self.offset,
            expected: self.state.expected(),
        })
    }

    /// Compares with what must come; false if more is needed.
    fn literal(&mut self, input: &mut &[u8], literal: Literal, done: usize) -> Result<bool, Error> {
        let wanted = &literal.bytes(self.depth)[done..];
        let count = wanted.len().min(input.len());
        let (found, rest) = input.split_at(count);
        if let Some(wrong) = found
            .iter()
            .zip(wanted)
            .position(|(found, wanted)| found != wanted)
        {
            return Err(Error::Expected {
                offset: self.offset + wrong as u64,
                expected: self.state.expected(),
            });
        }
        *input = rest;
        self.offset += count as u64;
        self.state = State::Literal(literal, done + count);
        Ok(count == wanted.len())
    }

    /// What a finished literal leads to.
    fn after(&mut self, literal: Literal) -> Result<Option<Event<'static>>, Error> {
        let mut event = None;
        self.state = match literal {
            Literal::Magic | Literal::Node => State::Type,
            Literal::Name => State::Length(Text::Name),
            Literal::Target => State::Length(Text::Target),
            Literal::Executable => State::Size { executable: true },
            Literal::Directory => {
                if self.depth == MAX_DEPTH {
                    return Err(Error::Depth {
                        offset: self.offset,
                    });
                }
                match self.names.get_mut(self.depth) {
                    Some(name) => name.clear(),
                    None => self.names.push(Vec::new()),
                }
                self.depth += 1;
                event = Some(Event::StartDirectory);
                State::EntryOrClose
            }
            Literal::Close { regular } => {
                event = regular.then_some(Event::EndRegular);
                if self.depth == 0 {
                    State::End
                } else {
                    State::EntryOrClose
                }
            }
            Literal::CloseEntry => State::EntryOrClose,
        };
        Ok(event)
    }

    /// Acts on the first 16 bytes of one of several strings.
    fn choose(&mut self, word: &[u8; 16]) -> Result<Option<Event<'static>>, Error> {
        let mut event = None;
        let literal = |literal| State::Literal(literal, 0);
        self.state = match (self.state, word) {
            (State::Type, wire::REGULAR) => State::ExecutableOrContents,
            (State::Type, wire::SYMLINK) => literal(Literal::Target),
            (State::Type, wire::DIRECTORY) => literal(Literal::Directory),
            (State::ExecutableOrContents, wire::CONTENTS) => State::Size { executable: false },
            (State::ExecutableOrContents, wire::EXECUTABLE) => literal(Literal::Executable),
            (State::EntryOrClose, wire::ENTRY) => literal(Literal::Name),
            (State::EntryOrClose, word) if word == wire::CLOSE => {
                self.depth -= 1;
                event = Some(Event::EndDirectory);
                if self.depth == 0 {
                    State::End
                } else {
                    literal(Literal::CloseEntry)
                }
            }
            _ => {
                return Err(Error::Expected {
                    offset: self.offset - 16,
                    expected: self.state.expected(),
                });
            }
        };
        Ok(event)
    }

    /// Checks a name or target that is complete in `held`, with its padding.
    fn text(&mut self, text: Text, length: usize) -> Result<Event<'_>, Error> {
        self.zeros_after(length)?;
        let offset = self.offset;
        match text {
            Text::Target => {
                std::mem::swap(&mut self.held, &mut self.target);
                self.held.clear();
                if !is_target(&self.target) {
                    return Err(Error::Target { offset });
                }
                self.state = State::Literal(Literal::Close { regular: false }, 0);
                Ok(Event::Symlink(&self.target))
            }
            Text::Name => {
                // A name stands in a directory, and each of those has its place in `names`.
                let previous = &mut self.names[self.depth - 1];
                if !is_name(&self.held) {
                    return Err(Error::Name {
                        offset,
                        name: printable(&self.held),
                    });
                }
                if *self.held <= **previous {
                    let (name, previous) = (printable(&self.held), printable(previous));
                    return Err(Error::Order {
                        offset,
                        name,
                        previous,
                    });
                }
                std::mem::swap(&mut self.held, previous);
                self.held.clear();
                self.state = State::Literal(Literal::Node, 0);
                Ok(Event::Entry(previous))
            }
        }
    }

    /// Takes `N` bytes at once, or holds what there is.
    fn take<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        if self.held.is_empty()
            && let Some((word, rest)) = input.split_first_chunk::<N>()
        {
            *input = rest;
            self.offset += N as u64;
            return Some(*word);
        }
        if !self.hold(input, N) {
            return None;
        }
        let word = self.held.first_chunk().copied();
        self.held.clear();
        word
    }

    /// Moves bytes from `input` to `held` until there are `length`.
    fn hold(&mut self, input: &mut &[u8], length: usize) -> bool {
        let count = length.saturating_sub(self.held.len()).min(input.len());
        let (taken, rest) = input.split_at(count);
        self.held.extend_from_slice(taken);
        *input = rest;
        self.offset += count as u64;
        self.held.len() == length
    }

    /// Cuts the padding off `held`, which must be zero.
    fn zeros_after(&mut self, length: usize) -> Result<(), Error> {
        if self.held[length..].iter().any(|byte| *byte != 0) {
            return Err(Error::Padding {
                offset: self.offset,
            });
        }
        self.held.truncate(length);
        Ok(())
    }
}
