//! What a farm did, written down to be replayed.
//!
//! A recording is lines of JSON, an object each. It can be read while it is written: what stands behind the last end of a line
//! is not there yet. The first line says what it is:
//!
//! ```json
//! {"format":"grange-recording","version":1,"fact":41,"at":1764486000000}
//! ```
//!
//! Each line, the first too, has two numbers. `fact`: everything of the journal up to this fact that belongs into the
//! recording stands in it with this line, so whoever writes goes on behind it. `at`: when that fact was decided, in
//! milliseconds since 1970. What else is in a line says what happened; a line without that is a mark:
//!
//! | key | what happened |
//! |---|---|
//! | `submitted` | a [build](Submitted) was accepted |
//! | `ended` | a [build](Ended) ended; how, and its attempts |
//! | `agent` | an [agent](Agent) was seen for the first time, or offers something else than before |
//! | `gap` | facts are [missing](Gap): the journal did not have them any more, or is another |
//!
//! Builds, agents and attempts are named as everywhere, derivations by the 32 digits that their store names begin with. Keys
//! that a reader does not know are left alone; what it cannot do without raises the version.
//!
//! ```
//! use grange_recording::{Event, Lines};
//!
//! let text = "{\"format\":\"grange-recording\",\"version\":1,\"fact\":41,\"at\":5}\n\
//!     {\"fact\":43,\"at\":7,\"gap\":{\"after\":41}}\n\
//!     {\"fact\":44,\"at\":8,\"submi";
//! let lines: Vec<_> = Lines::new(text.as_bytes())?.collect::<Result<_, _>>()?;
//! assert_eq!(lines.len(), 1);
//! assert!(matches!(&lines[0].event, Event::Gap(gap) if gap.after.0 == 41));
//! # Ok::<(), grange_recording::ReadError>(())
//! ```

mod event;
mod file;
mod line;
mod names;
mod read;

pub use event::{Agent, Attempt, Derivation, Ended, Ending, Event, Gap, Submitted};
pub use file::{OpenError, RecordingFile, Sink};
pub use line::{Cursor, Line, header};
pub use names::{AttemptName, DerivationName};
pub use read::{Lines, ReadError};
