//! The machine's first process, from its beginning to serving the host.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::modules::{self, Later};
use super::options::Options;
use super::{mounts, network, root};
use crate::CONTROL_PORT;
use crate::ready::Ready;
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
        Ok(Machine {
            init: Some(init),
            mut later,
        }) => {
            complete(&mut later);
            hand_over(&init)
        }
        Ok(Machine { init: None, later }) => match in_background(later) {
            Ok(ready) => serve_machine(ready),
            Err(error) => format!("cannot start a thread: {error}"),
        },
    }
}

/// Serves the host on the machine's port. Comes back only with what went wrong.
pub(crate) fn serve_machine(ready: Ready) -> String {
    let served = Port::find(CONTROL_PORT, PATIENCE).and_then(|port| {
        let control = Control::start(Power::Machine, ready)?;
        serve(&Arc::new(port), &control)
    });
    match served {
        Ok(()) => format!("the port {CONTROL_PORT} has ended"),
        Err(error) => format!("cannot serve on the port {CONTROL_PORT}: {error}"),
    }
}

/// A machine that can serve its host.
struct Machine {
    /// The program that is to be the first process, if another than this one is.
    init: Option<String>,
    /// What programs in it may want, and the host does not.
    later: Later,
}

/// Does what has to be done before the host can be served.
fn set_up() -> Result<Machine, String> {
    mounts::first()?;
    let line = fs::read_to_string("/proc/cmdline")
        .map_err(|error| format!("cannot read the kernel's command line: {error}"))?;
    let options = Options::parse(&line)?;
    modules::load_first();
    let mut later = Later::open();
    let sources = [&options.root, &options.tools, &options.disk];
    let kinds = sources.into_iter().flatten().map(|source| &source.kind);
    if kinds.into_iter().any(|kind| !mounts::is_known(kind)) {
        later.load();
    }
    if options.disk.is_some() {
        // After the others, which they may depend on: that is why the kernel did not know the disk's kind above.
        modules::load_for_disks();
    }
    // The initramfs, and with it this program's file, is gone after that.
    let program =
        fs::read("/proc/self/exe").map_err(|error| format!("cannot read this program: {error}"))?;
    if let Some(source) = &options.root {
        root::switch(source, &options)?;
    }
    mounts::rest(options.disk.is_some());
    install(&program).map_err(|error| format!("cannot write {PROGRAM}: {error}"))?;
    if let Some(source) = &options.tools {
        root::attach(source, TOOLS)?;
    }
    if let Some(name) = &options.hostname {
        rustix::system::sethostname(name.as_bytes())
            .map_err(|error| format!("cannot set the host name: {error}"))?;
    }
    Ok(Machine {
        init: options.init,
        later,
    })
}

/// Gets what programs may want, while the host is served already.
fn in_background(mut later: Later) -> io::Result<Ready> {
    let ready = Ready::default();
    let theirs = ready.clone();
    thread::Builder::new().name("later".into()).spawn(move || {
        complete(&mut later);
        theirs.set();
    })?;
    Ok(ready)
}

fn complete(later: &mut Later) {
    later.load();
    network::set_up();
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
