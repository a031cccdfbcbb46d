//! Reading a recording, line by line.

use std::io::{BufRead, Read as _};

use crate::line::{Cursor, FORMAT, Line, Row, VERSION};

/// Longer lines are refused, in bytes: no derivation has so many inputs.
pub(crate) const LONGEST: u64 = 64 << 20;

/// Why something cannot be read as a recording.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the recording: {what}")]
pub struct ReadError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
    /// Why it could not be read.
    #[source]
    pub source: Option<std::io::Error>,
}

/// The lines of a recording behind the first; one at a time is in memory.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    begins: Cursor,
    line: usize,
    text: Vec<u8>,
    failed: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads the first line.
    ///
    /// # Errors
    ///
    /// It is not the first line of a recording, or of one that this Grange does not know.
    pub fn new(from: R) -> Result<Self, ReadError> {
        let begins = Cursor {
            fact: grange_model::FactNumber(0),
            at: grange_model::Timestamp(0),
        };
        let mut lines = Self {
            from,
            begins,
            line: 0,
            text: Vec::new(),
            failed: false,
        };
        let text = if lines.next_text()? {
            lines.text.as_slice()
        } else {
            b""
        };
        lines.begins = first(text).map_err(|what| lines.wrong(what))?;
        Ok(lines)
    }

    /// What the recording begins behind.
    #[must_use]
    pub fn begins(&self) -> Cursor {
        self.begins
    }

    /// The number of the line that was read last; the first is 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        if !self.next_text()? {
            return Ok(None);
        }
        let line = Line::read(&self.text);
        line.map(Some)
            .map_err(|error| self.wrong(without_line(&error)))
    }

    /// Whether there is another whole line.
    fn next_text(&mut self) -> Result<bool, ReadError> {
        self.text.clear();
        self.line += 1;
        let mut limited = (&mut self.from).take(LONGEST);
        if let Err(error) = limited.read_until(b'\n', &mut self.text) {
            return Err(ReadError {
                line: self.line,
                what: "it cannot be read".to_owned(),
                source: Some(error),
            });
        }
        if self.text.pop_if(|last| *last == b'\n').is_some() {
            return Ok(true);
        }
        if self.text.len() as u64 == LONGEST {
            return Err(self.wrong(format!("it has more than {LONGEST} bytes")));
        }
        Ok(false)
    }

    fn wrong(&self, what: String) -> ReadError {
        ReadError {
            line: self.line.max(1),
            what,
            source: None,
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_line().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// What stands in a first line.
pub(crate) fn first(text: &[u8]) -> Result<Cursor, String> {
    let row = serde_json::from_slice::<Row>(text).ok();
    let row = row.filter(|row| row.format.as_deref() == Some(FORMAT));
    let Some((row, version)) = row.and_then(|row| row.version.map(|version| (row, version))) else {
        return Err(format!(
            "this is no recording: that begins with {{\"format\":\"{FORMAT}\""
        ));
    };
    if version != VERSION {
        return Err(format!(
            "it has version {version}, and this Grange knows only {VERSION}"
        ));
    }
    Ok(row.cursor())
}

/// What is wrong and at which byte: the line that JSON counts is always 1.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what}, at byte {}", error.column())
}
