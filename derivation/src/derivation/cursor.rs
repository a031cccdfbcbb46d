//! Reading the notation of derivations: strings, lists, punctuation.

use super::ParseErrorKind as Kind;
use super::error::ParseError;
use super::scan::find_special;
use crate::{StoreDir, StorePath};
use std::borrow::Cow;

/// A place in a derivation's text.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn starts_with(&self, literal: &str) -> bool {
        self.rest().starts_with(literal.as_bytes())
    }

    /// Takes `literal`, or fails.
    pub(super) fn expect(&mut self, literal: &'static str) -> Result<(), ParseError> {
        let rest = self.rest();
        if rest.starts_with(literal.as_bytes()) {
            self.at += literal.len();
            return Ok(());
        }
        let kind = if literal.as_bytes().starts_with(rest) {
            Kind::End
        } else {
            Kind::Expected(literal)
        };
        Err(kind.at(self.at))
    }

    /// Takes a string; borrowed unless it has escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, [u8]>, ParseError> {
        self.expect("\"")?;
        let rest = self.rest();
        let end = find_special(rest);
        if rest.get(end) == Some(&b'"') {
            self.at += end + 1;
            return Ok(Cow::Borrowed(&rest[..end]));
        }
        self.string_with_escapes(end).map(Cow::Owned)
    }

    fn string_with_escapes(&mut self, mut end: usize) -> Result<Vec<u8>, ParseError> {
        let mut string = Vec::new();
        loop {
            let rest = self.rest();
            string.extend_from_slice(&rest[..end]);
            let (special, next) = (rest.get(end), rest.get(end + 1));
            self.at += end;
            let plain = match (special, next) {
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(string);
                }
                (None, _) | (Some(b'\\'), None) => return Err(Kind::End.at(self.text.len())),
                (Some(b'\\'), Some(b'n')) => b'\n',
                (Some(b'\\'), Some(b'r')) => b'\r',
                (Some(b'\\'), Some(b't')) => b'\t',
                (Some(b'\\'), Some(byte @ (b'"' | b'\\'))) => *byte,
                (Some(b'\\'), Some(byte)) => return Err(Kind::Escape(*byte).at(self.at)),
                (Some(byte), _) => return Err(Kind::Unescaped(*byte).at(self.at)),
            };
            string.push(plain);
            self.at += 2;
            end = find_special(self.rest());
        }
    }

    /// Takes a string that is a path of the store.
    pub(super) fn path(&mut self, store: &StoreDir) -> Result<StorePath, ParseError> {
        let at = self.at;
        let string = self.string()?;
        StorePath::parse(store, &string).map_err(|error| Kind::StorePath(error).at(at))
    }

    /// Takes a list; `item` takes one member.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.take(b',') {
                self.expect("]")?;
                return Ok(items);
            }
        }
    }

    /// Takes a list whose members must be strictly increasing by `key`. None has less than `least` bytes.
    pub(super) fn sorted_list<T, K: Ord>(
        &mut self,
        what: &'static str,
        least: usize,
        key: impl Fn(&T) -> &K,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect("[")?;
        if self.take(b']') {
            return Ok(Vec::new());
        }
        // Room for what can follow, but no more than a list of some hundred takes: the rest may be something else.
        let mut items: Vec<T> = Vec::with_capacity((self.rest().len() / least).clamp(1, 256));
        loop {
            let at = self.at;
            let next = item(self)?;
            match items.last().map(|last| key(last).cmp(key(&next))) {
                Some(std::cmp::Ordering::Greater) => return Err(Kind::Unsorted(what).at(at)),
                Some(std::cmp::Ordering::Equal) => return Err(Kind::Duplicate(what).at(at)),
                Some(std::cmp::Ordering::Less) | None => items.push(next),
            }
            if !self.take(b',') {
                self.expect("]")?;
                return Ok(items);
            }
        }
    }

    /// Fails unless the text has ended.
    pub(super) fn end(&self) -> Result<(), ParseError> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(Kind::Trailing.at(self.at))
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(taken);
        taken
    }
}
