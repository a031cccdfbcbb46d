//! The encoder: a decoder's inverse.

use super::wire::{self, is_name, is_target, padding};
use super::{Error, Event, MAX_DEPTH, MAX_NAME, MAX_TARGET};
use crate::store_path::printable;
use std::io::{self, Read, Write};

/// Writes a nar to a writer, through a buffer of 256 KiB.
///
/// It checks what it is given as strictly as a decoder would, so it writes a nar or fails. A failure that is the
/// caller's has [`io::ErrorKind::InvalidInput`] and an [`Error`] inside.
pub struct Encoder<W> {
    out: W,
    buffer: Box<[u8]>,
    filled: usize,
    /// Bytes that have left the buffer.
    written: u64,
    state: State,
    names: Vec<Vec<u8>>,
    depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Node,
    Directory,
    Contents { left: u64, padding: usize },
    End,
}

const BUFFER: usize = 256 * 1024;
const ZEROS: [u8; 8] = [0; 8];

impl<W> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("state", &self.state)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Encoder<W> {
    /// Starts a nar.
    pub fn new(out: W) -> Self {
        let mut buffer = vec![0; BUFFER].into_boxed_slice();
        buffer[..wire::MAGIC.len()].copy_from_slice(wire::MAGIC);
        Self {
            out,
            buffer,
            filled: wire::MAGIC.len(),
            written: 0,
            state: State::Node,
            names: Vec::new(),
            depth: 0,
        }
    }

    /// Starts a directory; [`Encoder::entry`] and [`Encoder::end_directory`] follow.
    ///
    /// # Errors
    /// If no node can be here, directories are nested too deeply, or the writer fails.
    pub fn directory(&mut self) -> io::Result<()> {
        self.require(State::Node, "a directory")?;
        if self.depth == MAX_DEPTH {
            return Err(invalid(Error::Depth {
                offset: self.offset(),
            }));
        }
        match self.names.get_mut(self.depth) {
            Some(name) => name.clear(),
            None => self.names.push(Vec::new()),
        }
        self.depth += 1;
        self.state = State::Directory;
        self.put(wire::DIRECTORY)?;
        self.put(wire::DIRECTORY_REST)
    }

    /// Starts an entry of the innermost directory; its node follows. Names must come in bytewise order.
    ///
    /// # Errors
    /// If no entry can be here, the name is not one or not in order, or the writer fails.
    pub fn entry(&mut self, name: &[u8]) -> io::Result<()> {
        self.require(State::Directory, "an entry")?;
        let offset = self.offset();
        if name.len() > MAX_NAME {
            return Err(invalid(Error::TooLong {
                what: "name",
                offset,
                length: name.len() as u64,
            }));
        }
        if !is_name(name) {
            return Err(invalid(Error::Name {
                offset,
                name: printable(name),
            }));
        }
        if let Some(previous) = self.names.get_mut(self.depth - 1) {
            if name <= previous.as_slice() {
                let (name, previous) = (printable(name), printable(previous));
                return Err(invalid(Error::Order {
                    offset,
                    name,
                    previous,
                }));
            }
            previous.clear();
            previous.extend_from_slice(name);
        }
        self.state = State::Node;
        self.put(wire::ENTRY)?;
        self.put(wire::NAME)?;
        self.string(name)?;
        self.put(wire::NODE)
    }

    /// Ends the innermost directory.
    ///
    /// # Errors
    /// If none is open, an entry has no node yet, or the writer fails.
    pub fn end_directory(&mut self) -> io::Result<()> {
        self.require(State::Directory, "the end of a directory")?;
        self.depth -= 1;
        self.end_node()
    }

    /// Starts a file; [`Encoder::data`] or [`Encoder::contents`] follow until there are `size` bytes, and then it has
    /// ended.
    ///
    /// # Errors
    /// If no node can be here, or the writer fails.
    pub fn regular(&mut self, executable: bool, size: u64) -> io::Result<()> {
        self.require(State::Node, "a file")?;
        self.put(wire::REGULAR)?;
        if executable {
            self.put(wire::EXECUTABLE)?;
            self.put(wire::EXECUTABLE_REST)?;
        } else {
            self.put(wire::CONTENTS)?;
        }
        self.put(&size.to_le_bytes())?;
        self.state = State::Contents {
            left: size,
            padding: padding(size),
        };
        self.advance(0)
    }

    /// Writes some of the file's bytes.
    ///
    /// # Errors
    /// If there are more than the file was said to have, or the writer fails.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (left, given) = (self.left(), bytes.len() as u64);
        if given > left {
            return Err(invalid(Error::Size { left, given }));
        }
        self.put(bytes)?;
        self.advance(given)
    }

    /// Reads the rest of the file's bytes from `source`, straight into the buffer. Reads no more than these.
    ///
    /// # Errors
    /// If `source` fails or has fewer bytes ([`io::ErrorKind::UnexpectedEof`]), or the writer fails.
    pub fn contents(&mut self, source: &mut impl Read) -> io::Result<()> {
        loop {
            let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(());
            }
            if left > BUFFER - self.filled {
                self.flush_buffer()?;
            }
            let end = BUFFER.min(self.filled.saturating_add(left));
            let piece = &mut self.buffer[self.filled..end];
            source.read_exact(piece)?;
            let given = piece.len() as u64;
            self.filled = end;
            self.advance(given)?;
        }
    }

    /// Writes a symbolic link.
    ///
    /// # Errors
    /// If no node can be here, the target is empty, too long or has a zero byte, or the writer fails.
    pub fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        self.require(State::Node, "a symbolic link")?;
        let offset = self.offset();
        if target.len() > MAX_TARGET {
            return Err(invalid(Error::TooLong {
                what: "target",
                offset,
                length: target.len() as u64,
            }));
        }
        if !is_target(target) {
            return Err(invalid(Error::Target { offset }));
        }
        self.put(wire::SYMLINK)?;
        self.put(wire::TARGET)?;
        self.string(target)?;
        self.end_node()
    }

    /// Writes what a decoder read.
    ///
    /// # Errors
    /// As the method for that event.
    pub fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::StartDirectory => self.directory(),
            Event::Entry(name) => self.entry(name),
            Event::EndDirectory => self.end_directory(),
            Event::Regular { executable, size } => self.regular(executable, size),
            Event::Data(bytes) => self.data(bytes),
            Event::EndRegular => match self.left() {
                0 => Ok(()),
                left => Err(invalid(Error::Size { left, given: 0 })),
            },
            Event::Symlink(target) => self.symlink(target),
        }
    }

    /// Writes what is left in the buffer, flushes the writer, and returns it with the nar's size.
    ///
    /// # Errors
    /// If the nar is not complete, or the writer fails.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.require(State::End, "the end")?;
        self.flush_buffer()?;
        self.out.flush()?;
        Ok((self.out, self.written))
    }

    fn require(&self, state: State, what: &'static str) -> io::Result<()> {
        if self.state == state {
            Ok(())
        } else {
            Err(invalid(Error::Misplaced(what)))
        }
    }

    const fn offset(&self) -> u64 {
        self.written + self.filled as u64
    }

    const fn left(&self) -> u64 {
        match self.state {
            State::Contents { left, .. } => left,
            _ => 0,
        }
    }

    /// Counts bytes of a file, and ends it after the last.
    fn advance(&mut self, given: u64) -> io::Result<()> {
        let State::Contents { left, padding } = self.state else {
            return Ok(());
        };
        self.state = State::Contents {
            left: left - given,
            padding,
        };
        if left > given {
            return Ok(());
        }
        self.put(&ZEROS[..padding])?;
        self.end_node()
    }

    fn end_node(&mut self) -> io::Result<()> {
        if self.depth == 0 {
            self.state = State::End;
            self.put(wire::CLOSE)
        } else {
            self.state = State::Directory;
            self.put(wire::CLOSE_BOTH)
        }
    }

    fn string(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)?;
        self.put(&ZEROS[..padding(bytes.len() as u64)])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > BUFFER - self.filled {
            self.flush_buffer()?;
            if bytes.len() >= BUFFER {
                self.written += bytes.len() as u64;
                return self.out.write_all(bytes);
            }
        }
        self.buffer[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
        Ok(())
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer[..self.filled])?;
        self.written += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
