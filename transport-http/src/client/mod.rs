//! The client.

mod answer;
mod config;
mod connect;
mod dialer;
mod endpoint;
mod errors;
mod pool;
mod send;
mod sending;
mod url;

pub use config::{ClientConfig, HttpVersion};
pub use connect::ConnectError;
pub use dialer::{Dialed, Dialer};
pub use endpoint::HttpEndpoint;
pub use url::{CoordinatorUrl, ParseUrlError};
