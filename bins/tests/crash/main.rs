//! `kill -9` of coordinator and agent, twenty times each, at any moment of a farm's life: nothing
//! that was acknowledged is lost, and nothing that has ended is done again.

mod builds;
mod crash;
mod processes;
mod random;
