//! Reading, in either representation.

use super::Sexp;

/// Why bytes are no S-expression that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SexpError {
    /// There are more bytes than are looked at.
    #[error("an s-expression of {0} bytes, more than {max}", max = Sexp::MAX_SIZE)]
    Size(usize),
    /// Lists are nested too deeply.
    #[error("the s-expression is nested more than {max} deep at byte {0}", max = Sexp::MAX_DEPTH)]
    Depth(usize),
    /// Something else should be there.
    #[error("not an s-expression: at byte {offset} there should be {expected}")]
    Expected {
        /// Where, from the first byte.
        offset: usize,
        /// What should be there.
        expected: &'static str,
    },
}

impl Sexp {
    /// Reads one expression, canonical or advanced, which must be all of the input but for white space.
    ///
    /// # Errors
    /// If it is none, is larger than [`Sexp::MAX_SIZE`], or is nested deeper than [`Sexp::MAX_DEPTH`]. Display hints,
    /// base 64, the transport form of RFC 9804 and lengths before `"` and `#` are refused: libgcrypt writes none of
    /// them.
    pub fn parse(input: &[u8]) -> Result<Self, SexpError> {
        Reader::read(input, true)
    }

    /// Reads one expression in the canonical representation only.
    ///
    /// # Errors
    /// As [`Sexp::parse`].
    pub fn parse_canonical(input: &[u8]) -> Result<Self, SexpError> {
        Reader::read(input, false)
    }
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    /// Whether more than the canonical representation is read.
    advanced: bool,
}

impl<'a> Reader<'a> {
    fn read(input: &'a [u8], advanced: bool) -> Result<Sexp, SexpError> {
        if input.len() > Sexp::MAX_SIZE {
            return Err(SexpError::Size(input.len()));
        }
        let mut reader = Self {
            input,
            at: 0,
            advanced,
        };
        let value = reader.value(0)?;
        reader.skip_space();
        if reader.peek().is_some() {
            return Err(reader.expected("nothing more"));
        }
        Ok(value)
    }

    /// As deep as the limit allows.
    fn value(&mut self, depth: usize) -> Result<Sexp, SexpError> {
        self.skip_space();
        match self.peek() {
            Some(b'(') if depth == Sexp::MAX_DEPTH => Err(SexpError::Depth(self.at)),
            Some(b'(') => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.skip_space();
                    if self.peek() == Some(b')') {
                        self.at += 1;
                        return Ok(Sexp::List(items));
                    }
                    items.push(self.value(depth + 1)?);
                }
            }
            Some(b'0'..=b'9') => self.verbatim(),
            Some(b'#') if self.advanced => self.hexadecimal(),
            Some(b'"') if self.advanced => self.quoted(),
            Some(byte) if self.advanced && super::is_token(byte) => {
                let rest = &self.input[self.at..];
                let end = rest.iter().position(|byte| !super::is_token(*byte));
                let token = &rest[..end.unwrap_or(rest.len())];
                self.at += token.len();
                Ok(Sexp::atom(token))
            }
            _ => Err(self.expected("an atom or a list")),
        }
    }

    /// `LENGTH:BYTES`, without leading zeros.
    fn verbatim(&mut self) -> Result<Sexp, SexpError> {
        let (start, mut length) = (self.at, 0usize);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if length == 0 && self.at > start {
                return Err(self.expected("`:`, since the length is 0"));
            }
            length = length
                .saturating_mul(10)
                .saturating_add(usize::from(digit - b'0'));
            self.at += 1;
        }
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        let Some(bytes) = self.input[self.at..].get(..length) else {
            self.at = self.input.len();
            return Err(self.expected("more bytes, as the length says"));
        };
        self.at += length;
        Ok(Sexp::atom(bytes))
    }

    /// `#HEX#`, with white space in any place.
    fn hexadecimal(&mut self) -> Result<Sexp, SexpError> {
        self.at += 1;
        let rest = &self.input[self.at..];
        // One allocation: what a growing buffer leaves behind is not overwritten, and it may be a secret.
        let end = rest.iter().position(|byte| *byte == b'#').unwrap_or(0);
        let mut bytes = Vec::with_capacity(end / 2);
        let mut high = None;
        loop {
            self.skip_space();
            let digit = match self.peek() {
                Some(digit @ b'0'..=b'9') => digit - b'0',
                Some(digit @ b'a'..=b'f') => digit - b'a' + 10,
                Some(digit @ b'A'..=b'F') => digit - b'A' + 10,
                Some(b'#') if high.is_none() => {
                    self.at += 1;
                    return Ok(Sexp::Atom(bytes));
                }
                _ => return Err(self.expected("a hexadecimal digit")),
            };
            self.at += 1;
            match high.take() {
                None => high = Some(digit << 4),
                Some(high) => bytes.push(high | digit),
            }
        }
    }

    /// `"TEXT"`, in which any byte but a control character may stand for itself: libgcrypt writes numbers so, too, if
    /// they happen to have no control characters (one signature of some ten thousand).
    fn quoted(&mut self) -> Result<Sexp, SexpError> {
        self.at += 1;
        let rest = &self.input[self.at..];
        let end = rest.iter().position(|byte| *byte == b'"').unwrap_or(0);
        let mut bytes = Vec::with_capacity(end);
        loop {
            let byte = match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Sexp::Atom(bytes));
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.peek()
                        .and_then(super::unescape)
                        .ok_or_else(|| self.expected("a character that is escaped with `\\`"))?
                }
                Some(byte) if super::is_text(byte) => byte,
                _ => return Err(self.expected("text and `\"`")),
            };
            bytes.push(byte);
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while self.advanced && self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    const fn expected(&self, expected: &'static str) -> SexpError {
        SexpError::Expected {
            offset: self.at,
            expected,
        }
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r' | b'\n')
}
