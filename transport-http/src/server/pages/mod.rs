//! Pages over cleartext HTTP/1.1, without hyper: what stock clients do all day, as fast as the kernel does it.
//!
//! Only plain GET and HEAD requests are answered here. At the first byte that is anything else, the connection goes
//! to hyper, with all that was read, and stays there: so nothing odd is understood in two ways, and every limit holds
//! here as it does there.

mod answer;
mod connection;
mod deadline;
mod head;
mod send;

pub(super) use connection::run;
