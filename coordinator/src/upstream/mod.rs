//! What substitute servers of others have: it is available, and nobody here builds it.
//!
//! Before builds are asked for, servers are asked from the top down for what those builds would make and need. What
//! they have is kept as a record together with all that it refers to, so that it stays available after a restart; its
//! bytes are fetched when an agent wants them. If they are not to be had then, the record goes, and what it was about is
//! built. Derivations and sources that a client does not have are obtained in the same way, but for the texts of
//! derivations, which are kept.

mod closure;
mod gone;
mod nar;
mod obtain;
mod patience;
mod seek;
mod servers;
mod silent;

pub(crate) use closure::record;
pub(crate) use gone::forget_torn;
pub(crate) use nar::nar;
pub(crate) use obtain::obtain;
pub(crate) use seek::seek;
pub use servers::Upstreams;
pub(crate) use silent::Silent;
