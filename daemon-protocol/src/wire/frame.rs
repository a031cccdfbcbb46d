//! What a daemon says between a request and its result.

use bytes::Bytes;

use super::{Cursor, ReadError, WireError};

const NEXT: u64 = 0x6f6c_6d67;
const READ: u64 = 0x6461_7461;
const WRITE: u64 = 0x6461_7416;
const LAST: u64 = 0x616c_7473;
const ERROR: u64 = 0x6378_7470;
const START_ACTIVITY: u64 = 0x5354_5254;
const STOP_ACTIVITY: u64 = 0x5354_4f50;
const RESULT: u64 = 0x5253_4c54;

/// One message. Exhaustive: a client that overlooks one loses its place in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A piece of log: any bytes, of any length.
    Next(Bytes),
    /// The daemon wants at most so many bytes.
    Read(u64),
    /// Data for whoever asked.
    Write(Bytes),
    /// The result follows.
    Last,
    /// No result follows.
    Error {
        /// For people.
        message: String,
        /// 1 in general, 100 a build failed, 101 it took too long; only Guix, and Nix before 1.26, say it.
        status: Option<u64>,
    },
    /// Something began; Nix only.
    StartActivity {
        /// Its number.
        id: u64,
        /// Such as 105 for a build.
        kind: u64,
        /// For people.
        text: Bytes,
        /// By kind.
        fields: Vec<Field>,
    },
    /// Something ended; Nix only.
    StopActivity(u64),
    /// Something came of an activity; Nix only.
    Result {
        /// The activity's number.
        id: u64,
        /// Such as 101 for a line of log.
        kind: u64,
        /// By kind.
        fields: Vec<Field>,
    },
}

/// A value that comes with an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// An integer.
    Number(u64),
    /// A string.
    Text(Bytes),
}

impl Frame {
    /// Reads one. `structured` tells in which form errors come, which follows from the version.
    ///
    /// # Errors
    /// If it is none, or has not come whole.
    pub fn read(cursor: &mut Cursor<'_>, structured: bool) -> Result<Self, ReadError> {
        Ok(match cursor.number()? {
            NEXT => Self::Next(bytes(cursor)?),
            READ => Self::Read(cursor.number()?),
            WRITE => Self::Write(bytes(cursor)?),
            LAST => Self::Last,
            ERROR if structured => structured_error(cursor)?,
            ERROR => Self::Error {
                message: cursor.text()?,
                status: Some(cursor.number()?),
            },
            START_ACTIVITY => {
                let id = cursor.number()?;
                let _level = cursor.number()?;
                let kind = cursor.number()?;
                let text = bytes(cursor)?;
                let fields = fields(cursor)?;
                let _parent = cursor.number()?;
                Self::StartActivity {
                    id,
                    kind,
                    text,
                    fields,
                }
            }
            STOP_ACTIVITY => Self::StopActivity(cursor.number()?),
            RESULT => Self::Result {
                id: cursor.number()?,
                kind: cursor.number()?,
                fields: fields(cursor)?,
            },
            other => return Err(WireError::Frame(other).into()),
        })
    }

    /// Its name, for messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Next(_) => "NEXT",
            Self::Read(_) => "READ",
            Self::Write(_) => "WRITE",
            Self::Last => "LAST",
            Self::Error { .. } => "ERROR",
            Self::StartActivity { .. } => "START_ACTIVITY",
            Self::StopActivity(_) => "STOP_ACTIVITY",
            Self::Result { .. } => "RESULT",
        }
    }
}

/// Type, level, name, message, position (never one), and what was being done: a list with a position each.
fn structured_error(cursor: &mut Cursor<'_>) -> Result<Frame, ReadError> {
    let _type = cursor.bytes()?;
    let _level = cursor.number()?;
    let _name = cursor.bytes()?;
    let mut message = cursor.text()?;
    let _position = cursor.number()?;
    let traces = cursor.list(|cursor| {
        let _position = cursor.number()?;
        cursor.text()
    })?;
    for trace in traces {
        message.push_str("; ");
        message.push_str(&trace);
    }
    Ok(Frame::Error {
        message: plain(&message),
        status: None,
    })
}

/// A text without terminal colours: ESC, `[`, parameters, a letter.
pub(crate) fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|it: char| it.is_ascii_alphabetic());
        plain.push_str(end.map_or("", |end| &part[end + 1..]));
    }
    plain
}

fn bytes(cursor: &mut Cursor<'_>) -> Result<Bytes, ReadError> {
    cursor.bytes().map(Bytes::copy_from_slice)
}

fn fields(cursor: &mut Cursor<'_>) -> Result<Vec<Field>, ReadError> {
    cursor.list(|cursor| match cursor.number()? {
        0 => cursor.number().map(Field::Number),
        1 => bytes(cursor).map(Field::Text),
        other => Err(WireError::Field(other).into()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Request;

    fn read(request: &Request, structured: bool) -> Result<Frame, ReadError> {
        let mut cursor = Cursor::new(request.as_bytes());
        let frame = Frame::read(&mut cursor, structured)?;
        assert_eq!(cursor.position(), request.as_bytes().len());
        Ok(frame)
    }

    #[test]
    fn frames_as_daemons_send_them() {
        let golden = b"gmlo\0\0\0\0\x0e\0\0\0\0\0\0\0about to fail\n\0\0";
        assert_eq!(
            Frame::read(&mut Cursor::new(golden), false),
            Ok(Frame::Next(Bytes::from_static(b"about to fail\n")))
        );
        let golden = b"stla\0\0\0\0";
        assert_eq!(Frame::read(&mut Cursor::new(golden), true), Ok(Frame::Last));
        let golden = b"ptxc\0\0\0\0\x02\0\0\0\0\0\0\0no\0\0\0\0\0\0\x64\0\0\0\0\0\0\0";
        let error = Frame::Error {
            message: "no".to_owned(),
            status: Some(100),
        };
        assert_eq!(Frame::read(&mut Cursor::new(golden), false), Ok(error));
    }

    #[test]
    fn structured_errors_carry_what_was_being_done() {
        let mut request = Request::empty();
        request.number(ERROR).bytes(b"Error").number(0);
        request
            .bytes(b"Error")
            .bytes(b"no \x1b[35;1msuch\x1b[0m thing")
            .number(0);
        request.number(1).number(0).bytes(b"while looking");
        let error = Frame::Error {
            message: "no such thing; while looking".to_owned(),
            status: None,
        };
        assert_eq!(read(&request, true), Ok(error));
    }

    #[test]
    fn colours_go() {
        assert_eq!(plain("a\x1b[35;1mb\x1b[0m"), "ab");
        assert_eq!(plain("a\x1b[1"), "a");
    }

    #[test]
    fn activities() {
        let mut request = Request::empty();
        request.number(START_ACTIVITY).number(7).number(3);
        request.number(105).bytes(b"building").number(2);
        request.number(1).bytes(b"/nix/store/x").number(0).number(1);
        request.number(0);
        let start = Frame::StartActivity {
            id: 7,
            kind: 105,
            text: Bytes::from_static(b"building"),
            fields: vec![
                Field::Text(Bytes::from_static(b"/nix/store/x")),
                Field::Number(1),
            ],
        };
        assert_eq!(read(&request, true), Ok(start));
        let mut request = Request::empty();
        request.number(RESULT).number(7).number(101).number(1);
        request.number(2).number(0);
        assert_eq!(read(&request, true), Err(WireError::Field(2).into()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), structured: bool) {
            let _ = Frame::read(&mut Cursor::new(&bytes), structured);
        }

        #[test]
        fn any_bytes_after_a_known_code(
            code in proptest::sample::select(vec![NEXT, READ, WRITE, ERROR, START_ACTIVITY, STOP_ACTIVITY, RESULT]),
            numbers in proptest::collection::vec(0u64..40, 0..30),
            structured: bool,
        ) {
            let mut request = Request::empty();
            request.number(code);
            for number in numbers {
                request.number(number);
            }
            let _ = Frame::read(&mut Cursor::new(request.as_bytes()), structured);
        }
    }
}
