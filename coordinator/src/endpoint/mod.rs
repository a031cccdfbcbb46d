//! Answering agents and clients.

mod agent_calls;
mod builds;
mod dispatch;
mod facts;
mod items;
mod log;
mod operator;
mod reports;
mod submit;
mod views;

pub(crate) use dispatch::CoordinatorEndpoint;
