//! Answering agents and clients.

mod agent_calls;
mod artifacts;
mod builds;
mod dispatch;
mod eta;
mod facts;
mod history;
mod items;
mod log;
mod operator;
mod reports;
mod submit;
mod views;
mod why;

pub(crate) use agent_calls::unexpected;
pub(crate) use dispatch::CoordinatorEndpoint;
