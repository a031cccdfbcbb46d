//! Tests of the agent's state machine from outside.

mod bench;
mod exchanges;
mod lifecycle;
mod random;
