//! The machine's first process, from its beginning to serving the host.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::options::Options;
use super::{modules, mounts, network, root};
use crate::CONTROL_PORT;
use crate::server::{Control, Port, Power, serve};

/// How long to wait for the serial port.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where this program is found when the initramfs is gone.
const PROGRAM: &str = "/run/grange/grange-guest";
/// Where the tools are mounted.
const TOOLS: &str = "/run/grange/tools";

/// Sets the machine up and serves. Comes back only with what went wrong.
pub(crate) fn boot() -> String {
    match set_up() {
        Err(error) => error,
        Ok(Some(init)) => hand_over(&init),
        Ok(None) => serve_machine(),
    }
}

/// Serves the host on the machine's port. Comes back only with what went wrong.
pub(crate) fn serve_machine() -> String {
    let served = Port::find(CONTROL_PORT, PATIENCE).and_then(|port| {
        let control = Control::start(Power::Machine)?;
        serve(&Arc::new(port), &control)
    });
    match served {
        Ok(()) => format!("the port {CONTROL_PORT} has ended"),
        Err(error) => format!("cannot serve on the port {CONTROL_PORT}: {error}"),
    }
}

/// Gives the program that is to be the first process, if another than this one is.
fn set_up() -> Result<Option<String>, String> {
    mounts::first()?;
    let line = fs::read_to_string("/proc/cmdline")
        .map_err(|error| format!("cannot read the kernel's command line: {error}"))?;
    let options = Options::parse(&line)?;
    modules::load();
    // The initramfs, and with it this program's file, is gone after that.
    let program =
        fs::read("/proc/self/exe").map_err(|error| format!("cannot read this program: {error}"))?;
    if let Some(source) = &options.root {
        root::switch(source, &options)?;
    }
    mounts::rest();
    install(&program).map_err(|error| format!("cannot write {PROGRAM}: {error}"))?;
    if let Some(source) = &options.tools {
        root::attach(source, TOOLS)?;
    }
    if let Some(name) = &options.hostname {
        rustix::system::sethostname(name.as_bytes())
            .map_err(|error| format!("cannot set the host name: {error}"))?;
    }
    network::set_up();
    Ok(options.init)
}

/// Writes this program to where others find it.
fn install(program: &[u8]) -> io::Result<()> {
    if let Some(directory) = Path::new(PROGRAM).parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(PROGRAM, program)?;
    fs::set_permissions(PROGRAM, fs::Permissions::from_mode(0o755))
}

/// Has another process serve, and becomes the image's own first process.
fn hand_over(init: &str) -> String {
    match Command::new(PROGRAM).arg("--machine").spawn() {
        Ok(_) => format!("cannot run {init}: {}", Command::new(init).exec()),
        Err(error) => format!("cannot start {PROGRAM}: {error}"),
    }
}
