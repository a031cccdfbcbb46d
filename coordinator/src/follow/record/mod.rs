//! The follower that writes down what happens, to be replayed.
//!
//! It has no cursor in the Datastore: how far it has come stands in the recording itself, so that both are always one.

mod lines;
mod output;
mod recorder;

pub(crate) use recorder::run;
