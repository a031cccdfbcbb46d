//! Talks with a machine by hand: `converse SOCKET COMMAND…`, with any number of these commands, one after the other:
//!
//! * `run SCRIPT`: runs a shell script, shows its output
//! * `put PATH TEXT`, `get PATH`: writes a file, shows one
//! * `seed`, `clock UNIX-MILLISECONDS`, `ping`, `off`
//! * `relay SERVER`: on the agent's port instead: carries connections on to a Unix socket until the machine is gone

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use grange_guest::client::{Guest, relay};
use grange_guest::protocol::{Exec, Put};
use tokio::net::UnixStream;

/// More than a slow machine takes to start.
const PATIENCE: Duration = Duration::from_secs(100);
/// Bytes of output or of a file.
const LIMIT: usize = 1 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("see the beginning of this file");
    let socket = UnixStream::connect(next()?).await?;
    let mut command = next()?;
    if command == "relay" {
        let server = PathBuf::from(next()?);
        let why = relay(socket, move || UnixStream::connect(server.clone())).await;
        println!("{why}");
        return Ok(());
    }
    let begin = Instant::now();
    let guest = Guest::connect(socket, begin + PATIENCE).await?;
    println!("{:?} after {:?}", guest.welcome(), begin.elapsed());
    loop {
        let begin = Instant::now();
        match command.as_str() {
            "run" => {
                let exec = Exec::new("sh").arg("-c").arg(next()?);
                let captured = guest.run(exec).await?.output(LIMIT).await?;
                print!("{}", String::from_utf8_lossy(&captured.stdout));
                eprint!("{}", String::from_utf8_lossy(&captured.stderr));
                println!("{}", captured.exit);
            }
            "put" => {
                let (path, text) = (next()?, next()?);
                guest
                    .put(Put::of(path, text.as_bytes()), text.as_bytes())
                    .await?;
            }
            "get" => {
                let mut bytes = Vec::new();
                guest.get(next()?, &mut bytes, LIMIT as u64).await?;
                println!("{}", String::from_utf8_lossy(&bytes));
            }
            "seed" => guest.seed(&rand::random::<[u8; 32]>()).await?,
            "clock" => guest.set_clock(next()?.parse()?).await?,
            "ping" => guest.ping().await?,
            "off" => guest.power_off().await?,
            other => return Err(format!("{other}: see the beginning of this file").into()),
        }
        println!("{command}: {:?}", begin.elapsed());
        command = match next() {
            Ok(command) => command,
            Err(_) => return Ok(()),
        };
    }
}
