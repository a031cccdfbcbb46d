//! What waits on disk to be sent.

mod compress;
mod dir;
mod result;

pub(crate) use compress::{SpoolError, compress};
pub(crate) use dir::Spool;
pub(crate) use result::{SpooledOutcome, SpooledOutput, SpooledResult, VERSION};
