//! The server.

mod answer;
mod body;
mod call;
mod config;
mod connection;
mod context;
mod file;
mod listener;
mod pages;
mod places;
mod replay;
mod serve;
mod service;
mod watch;

pub(crate) use service::VERSIONS_HEADER;

pub use config::ServerConfig;
pub use connection::serve_stream;
pub use listener::{BindError, Server};
