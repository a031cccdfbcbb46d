//! The program's command line.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::machine::{boot, serve_machine};
use crate::ready::Ready;
use crate::server::{Control, Port, Power, relay, serve};

/// Wrong use of the command line: sysexits(3).
const USAGE: u8 = 64;
/// How long `relay` waits for its port.
const PATIENCE: Duration = Duration::from_secs(10);
const HELP: &str = "usage:
  grange-guest                      as a machine's first process: set it up, serve
  grange-guest --machine            serve on the machine's port
  grange-guest --serve -|SOCKET     serve on standard input, or whoever connects to SOCKET, one after the other
  grange-guest relay -|PORT SOCKET  carry connections to SOCKET through the serial port PORT, or standard input";

/// What the program `grange-guest` does. All of it: it only calls this.
#[must_use]
pub fn guest_main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().filter_map(|one| one.to_str()).collect();
    // The kernel hands over what it does not know of its command line.
    if std::process::id() == 1 {
        return machine(&boot());
    }
    let done = match arguments.as_slice() {
        ["--machine"] => return machine(&serve_machine(Ready::already())),
        ["--serve", "-"] => Port::stdin().and_then(once),
        ["--serve", socket] => listen(Path::new(socket)),
        ["relay", "-", socket] => {
            Port::stdin().and_then(|port| relay(&Arc::new(port), Path::new(socket)))
        }
        ["relay", port, socket] => {
            Port::find(port, PATIENCE).and_then(|port| relay(&Arc::new(port), Path::new(socket)))
        }
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grange-guest: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What went wrong with a machine, on its console; and off, so that the host sees it at once.
fn machine(wrong: &str) -> ExitCode {
    eprintln!("grange-guest: {wrong}");
    Power::Machine.off();
    ExitCode::FAILURE
}

fn once(port: Port) -> io::Result<()> {
    let control = Control::start(Power::Process, Ready::already())?;
    let served = serve(&Arc::new(port), &control);
    control.kill_all();
    served
}

fn listen(socket: &Path) -> io::Result<()> {
    let control = Control::start(Power::Process, Ready::already())?;
    for connection in UnixListener::bind(socket)?.incoming() {
        let port = Port::socket(connection?.into())?;
        serve(&Arc::new(port), &control)?;
        control.kill_all();
    }
    Ok(())
}
