//! What runs in Grange's virtual build machines, and the host's end of the talk with it.
//!
//! The program `grange-guest` is the machine's first process: it mounts the root, finds a serial port of the name [`CONTROL_PORT`], and does what the
//! host asks for there: runs programs, takes and gives files, seeds the kernel's random numbers, sets the clock, switches
//! off. A second port, [`RELAY_PORT`], carries connections that programs in the guest make: an agent reaches
//! its coordinator although the machine has no network.
//!
//! Asked to (`Guest::listen`), it serves on AF_VSOCK as well, whoever shows that they know a secret.
//!
//! [`protocol`] says what goes over the ports. [`client`] is the host's end:
//!
//! ```no_run
//! # #[cfg(feature = "client")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::{Duration, Instant};
//!
//! use grange_guest::client::Guest;
//! use grange_guest::protocol::{Exec, Put};
//!
//! let socket = tokio::net::UnixStream::connect("/run/machine/control").await?;
//! let guest = Guest::connect(socket, Instant::now() + Duration::from_secs(60)).await?;
//! let key = b"secret";
//! guest.put(Put::of("/run/key", key).mode(0o600), key.as_slice()).await?;
//! let running = guest.run(Exec::new("uname").arg("-a")).await?;
//! let captured = running.output(64 * 1024).await?;
//! println!("{}: {}", captured.exit, String::from_utf8_lossy(&captured.stdout));
//! # Ok(())
//! # }
//! ```
//!
//! What a guest sends is not trusted: a build may have taken it over. Whatever comes, the host holds no more than the windows of its streams, and ends a
//! conversation that is none. What a guest says about itself, such as its clock, is no proof of anything.
//!
//! # What it does not do
//!
//! * Programs that leave their process group outlive the stream that started them. All end with the machine.
//! * Programs have no terminal. Arguments, environment and paths are UTF-8.
//! * Nothing that is put into a guest is made durable: what is to last is fetched out of it.
//!
//! The program is built without the feature `client`, as a static one: `RUSTFLAGS='-C target-feature=+crt-static' cargo build --release
//! -p grange-guest --no-default-features --target x86_64-unknown-linux-gnu --bin grange-guest`.

#[cfg(feature = "client")]
pub mod client;
mod machine;
mod main_program;
mod mux;
mod names;
pub mod protocol;
mod ready;
mod server;
mod sys;

pub use main_program::guest_main;
pub use names::{CONTROL_PORT, RELAY_PORT};
