//! The client against a coordinator that is a closure.

mod fake;
mod fetch;
mod log;
mod sources;
mod submit;
mod waiter;
