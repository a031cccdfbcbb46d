//! Reading as bytes come.

use super::wire::{MAGIC, MAX_PATH, MAX_REFERENCES, MAX_SIGNATURE, padding};
use super::{Error, Item, Trailer};
use grange_derivation::{StoreDir, StorePath, nar};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// A part of an archive, in the order of the stream: for each item its nar in pieces, then the item itself.
///
/// Exhaustive: a reader that skips a part reads another archive.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Some bytes of the next item's nar; never empty. They are those of a nar so far.
    Nar(&'a [u8]),
    /// The nar ended, and this is what it is.
    Item(Box<Item>),
}

/// Decodes an archive from slices as they come. Strict, bounded in memory, and free of I/O.
///
/// It checks that nars are nars and paths are the store's. That somebody trusted signed an item is for
/// [`Item::verify`] to say, and the caller's to ask before the nar becomes anything.
#[derive(Debug, Clone)]
pub struct Decoder {
    store: StoreDir,
    state: State,
    /// Bytes taken so far.
    offset: u64,
    /// The start of something that was cut by the end of a slice.
    held: Vec<u8>,
    /// Over the present item, from the nar's first byte on.
    hash: Sha256,
    nar: nar::Decoder,
    nar_sha256: [u8; 32],
    path: Option<StorePath>,
    references: BTreeSet<StorePath>,
    deriver: Option<StorePath>,
    signed_sha256: [u8; 32],
    signature: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Marker,
    Nar,
    Magic,
    Length(Text),
    Text(Text, usize),
    Count,
    References(u64),
    Signed,
    End,
}

#[derive(Debug, Clone, Copy)]
enum Text {
    Path,
    /// With the number of those that follow it.
    Reference(u64),
    Deriver,
    Signature,
}

impl Decoder {
    /// A decoder at the start of an archive of this store's items.
    #[must_use]
    pub fn new(store: StoreDir) -> Self {
        Self {
            store,
            state: State::Marker,
            offset: 0,
            held: Vec::new(),
            hash: Sha256::new(),
            nar: nar::Decoder::new(),
            nar_sha256: [0; 32],
            path: None,
            references: BTreeSet::new(),
            deriver: None,
            signed_sha256: [0; 32],
            signature: None,
        }
    }

    /// Takes bytes off the front of `input` up to the next event. `None` means that all of them were taken and more are
    /// needed, or that the archive has ended ([`Decoder::is_complete`]).
    ///
    /// # Errors
    /// If the bytes are not an archive, or go on after its end. The decoder is of no use then.
    pub fn decode<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, Error> {
        loop {
            match self.state {
                State::Nar if input.is_empty() => return Ok(None),
                State::Nar => return self.pass_nar(input).map(|nar| Some(Event::Nar(nar))),
                State::Marker | State::Magic | State::Length(_) | State::Count | State::Signed => {
                    let Some(number) = self.number(input) else {
                        return Ok(None);
                    };
                    self.state = self.after_number(number)?;
                }
                State::References(0) => self.state = State::Length(Text::Deriver),
                State::References(left) => self.state = State::Length(Text::Reference(left - 1)),
                State::Text(text, length) => {
                    if !self.hold(input, length + padding(length)) {
                        return Ok(None);
                    }
                    if self.held[length..].iter().any(|byte| *byte != 0) {
                        let offset = self.offset;
                        return Err(Error::Padding { offset });
                    }
                    let mut held = std::mem::take(&mut self.held);
                    if !matches!(text, Text::Signature) {
                        self.hash.update(&held);
                    }
                    held.truncate(length);
                    self.state = self.after_text(text, held)?;
                }
                State::End if input.is_empty() => return Ok(None),
                State::End => {
                    return Err(Error::Trailing {
                        offset: self.offset,
                    });
                }
            }
            if let State::Marker = self.state {
                return Ok(self.item());
            }
        }
    }

    /// Whether the archive has ended.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// How many bytes were taken.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Ends decoding.
    ///
    /// # Errors
    /// If the archive is not complete.
    pub fn finish(&self) -> Result<(), Error> {
        if self.is_complete() {
            return Ok(());
        }
        Err(Error::Truncated {
            offset: self.offset,
            expected: self.state.expected(),
        })
    }

    /// Takes what there is of the nar, checks and hashes it.
    fn pass_nar<'i>(&mut self, input: &mut &'i [u8]) -> Result<&'i [u8], Error> {
        let all = *input;
        let start = self.offset - self.nar.offset();
        while !self.nar.is_complete() {
            match self.nar.decode(input) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(source) => return Err(Error::Nar { start, source }),
            }
        }
        let taken = &all[..all.len() - input.len()];
        self.offset += taken.len() as u64;
        self.hash.update(taken);
        if self.nar.is_complete() {
            self.nar_sha256 = self.hash.clone().finalize().into();
            self.state = State::Magic;
        }
        Ok(taken)
    }

    fn after_number(&mut self, number: u64) -> Result<State, Error> {
        let offset = self.offset - 8;
        let expected = Error::Expected {
            offset,
            expected: self.state.expected(),
        };
        if matches!(
            self.state,
            State::Magic
                | State::Count
                | State::Length(Text::Path | Text::Reference(_) | Text::Deriver)
        ) {
            self.hash.update(number.to_le_bytes());
        }
        match (self.state, number) {
            (State::Marker, 0) => Ok(State::End),
            (State::Marker, 1) => {
                self.nar = nar::Decoder::new();
                self.hash = Sha256::new();
                Ok(State::Nar)
            }
            (State::Magic, MAGIC) => Ok(State::Length(Text::Path)),
            (State::Count, _) => {
                within(offset, "list of references", number, MAX_REFERENCES)?;
                Ok(State::References(number))
            }
            (State::Length(text), _) => {
                let most = match text {
                    Text::Signature => MAX_SIGNATURE,
                    Text::Path | Text::Reference(_) | Text::Deriver => MAX_PATH,
                };
                within(offset, text.name(), number, most as u64)?;
                // No truncation: it is at most `most`.
                Ok(State::Text(text, number as usize))
            }
            (State::Signed, 0) => Ok(State::Marker),
            (State::Signed, 1) => Ok(State::Length(Text::Signature)),
            _ => Err(expected),
        }
    }

    fn after_text(&mut self, text: Text, bytes: Vec<u8>) -> Result<State, Error> {
        let offset = self.offset;
        let parse = |store: &StoreDir| {
            StorePath::parse(store, &bytes).map_err(|source| Error::Path {
                offset,
                what: text.name(),
                source,
            })
        };
        match text {
            Text::Path => {
                self.path = Some(parse(&self.store)?);
                Ok(State::Count)
            }
            Text::Reference(left) => {
                let path = parse(&self.store)?;
                let reference = path.to_string();
                if !self.references.insert(path) {
                    return Err(Error::Duplicate { offset, reference });
                }
                Ok(State::References(left))
            }
            Text::Deriver => {
                if !bytes.is_empty() {
                    self.deriver = Some(parse(&self.store)?);
                }
                self.signed_sha256 = self.hash.finalize_reset().into();
                Ok(State::Signed)
            }
            Text::Signature => {
                self.signature = Some(bytes);
                Ok(State::Marker)
            }
        }
    }

    /// The item that came, if there is a path.
    fn item(&mut self) -> Option<Event<'static>> {
        let trailer = Trailer {
            path: self.path.take()?,
            references: std::mem::take(&mut self.references),
            deriver: self.deriver.take(),
        };
        Some(Event::Item(Box::new(Item {
            trailer,
            nar_sha256: self.nar_sha256,
            nar_size: self.nar.offset(),
            signed_sha256: self.signed_sha256,
            signature: self.signature.take(),
        })))
    }

    fn number(&mut self, input: &mut &[u8]) -> Option<u64> {
        if !self.hold(input, 8) {
            return None;
        }
        let number = self.held.first_chunk().copied().map(u64::from_le_bytes);
        self.held.clear();
        number
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
}

fn within(offset: u64, what: &'static str, length: u64, most: u64) -> Result<(), Error> {
    if length <= most {
        return Ok(());
    }
    Err(Error::TooLong {
        offset,
        what,
        length,
        most,
    })
}

impl Text {
    const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Reference(_) => "reference",
            Self::Deriver => "deriver",
            Self::Signature => "signature",
        }
    }
}

impl State {
    /// What should come at this place.
    const fn expected(self) -> &'static str {
        match self {
            Self::Marker => "1 before an item, or 0 at the end",
            Self::Nar => "a nar",
            Self::Magic => "`NIXE` after a nar",
            Self::Length(Text::Path) | Self::Text(Text::Path, _) => "a path",
            Self::Count => "the number of references",
            Self::References(_)
            | Self::Length(Text::Reference(_))
            | Self::Text(Text::Reference(_), _) => "a reference",
            Self::Length(Text::Deriver) | Self::Text(Text::Deriver, _) => "a deriver",
            Self::Signed => "1 before a signature, or 0 for none",
            Self::Length(Text::Signature) | Self::Text(Text::Signature, _) => "a signature",
            Self::End => "nothing",
        }
    }
}
