//! Grange's protocol over HTTP/1.1 and HTTP/2, on TCP, TLS, Unix sockets, or any stream of bytes.
//!
//! [`Server`] makes an [`Endpoint`](grange_interfaces::Endpoint) reachable, and [`HttpEndpoint`] is
//! one that reaches it. What travels are the [`message`](grange_interfaces::message)s.
//!
//! # On the wire
//!
//! | request | what it is |
//! |---|---|
//! | `POST /hello` | `Message::Hello`: which versions of the protocol do both speak? Never versioned itself |
//! | `POST /vN/call` | any message, in version N of the protocol |
//! | `GET /` | a line for people who look with a browser |
//!
//! The body of a request is the message as one line of JSON, ended by a line feed (or by the end of
//! the body), and then the raw bytes of the message's body where it has one. A response is the
//! same: one line, `{"ok": ANSWER}` or `{"refused": REFUSAL}`, then the raw bytes of the answer's
//! body where it has one. Both have the type [`MEDIA_TYPE`]. A body that breaks off is an error of
//! HTTP (a missing last chunk, too few bytes, a reset stream) and never looks complete.
//!
//! The status says the same as the line, for proxies and logs: 200; 400 and 413 the caller, 401 and
//! 403 forbidden, 404 not found, 409 conflict, 500 the operator or us, 502 a third party, 503 busy,
//! with `Retry-After` in seconds. What counts is the line.
//!
//! Credentials: `Authorization: Basic base64(AGENT-UUID:PASSWORD)` for agents, `Authorization:
//! Bearer TOKEN` for operators and clients, nothing for anybody. A Unix socket may be declared
//! trusted: who can open it (mode 0600) and names nobody else is
//! [`Peer::Local`](grange_interfaces::Peer::Local).
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//! use grange_interfaces::{Endpoint, Stop};
//! use grange_transport_http::{ClientConfig, HttpEndpoint, Server, ServerConfig};
//!
//! # async fn example(coordinator: Arc<dyn Endpoint>) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind("127.0.0.1:0".parse()?, ServerConfig::default()).await?;
//! let url = format!("http://{}", server.local_addr()).parse()?;
//! let (stopper, stop) = Stop::new();
//! let serving = tokio::spawn(server.serve(coordinator, stop));
//! let client = HttpEndpoint::connect(url, ClientConfig::default())?;
//! # drop((stopper, serving, client));
//! # Ok(())
//! # }
//! ```

mod address;
mod client;
mod codec;
mod credentials;
mod io;
mod limits;
mod patience;
mod server;
mod tls;
mod unix;

pub use address::{ListenAddress, ParseListenAddressError};
pub use client::{
    ClientConfig, ConnectError, CoordinatorUrl, Dialed, Dialer, HttpEndpoint, HttpVersion,
    ParseUrlError,
};
pub use codec::{
    MEDIA_TYPE, answer_has_body, decode_message, decode_reply, encode_message, encode_reply,
    message_has_body,
};
pub use limits::{Limits, LimitsError};
pub use server::{BindError, Server, ServerConfig, serve_stream};
pub use tls::{Pem, Tls, TlsError};
