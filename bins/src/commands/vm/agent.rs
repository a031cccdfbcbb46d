//! A clone that builds for a farm.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use grange_guest::RELAY_PORT;
use grange_guest::client::{Guest, relay};
use grange_guest::protocol::{Exec, Put};
use grange_transport_http::{CoordinatorUrl, Dialer};
use grange_vm::home::{Home, MachineHome, ServeOptions};
use grange_vm_image::ToolFile;
use sd_notify::NotifyState;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::lines::Lines;
use super::options::{program, serve_options};
use crate::cli::VmAgent;
use crate::connect::{SOFTWARE, client_config, read_secret};
use crate::coordinator::tell_manager;
use crate::failure::{self, Exit};
use crate::output::note;

/// Where the guest has its agent.
const AGENT: &str = "/run/grange/tools/bin/grange-agent";
/// Where it has our program that is its first process, too.
const GUEST: &str = "/run/grange/grange-guest";
/// Where its agent finds the coordinator.
const SOCKET: &str = "/run/grange/coordinator";
/// Where it finds its password: on a tmpfs.
const PASSWORD: &str = "/run/grange/agent.password";
/// A clone that ended sooner than this is waited after, longer each time.
const SOON: Duration = Duration::from_secs(60);
/// The longest that is waited.
const LONGEST: Duration = Duration::from_secs(60);

pub(super) async fn run(
    home: &Home,
    directory: &Path,
    url: CoordinatorUrl,
    ca: Option<&Path>,
    args: VmAgent,
) -> anyhow::Result<Exit> {
    if matches!(url, CoordinatorUrl::Unix(_)) {
        return Err(failure::usage(
            "a coordinator trusts whoever opens its Unix socket, and a guest shall not be trusted so: --coordinator must be http:// or https://",
        ));
    }
    let dialer = Arc::new(Dialer::new(url, client_config(ca, SOFTWARE))?);
    let password = read_secret(&args.password_file)?;
    let machine = home.machine(&args.name)?;
    let mut options = serve_options(directory, &args.starting)?;
    options.tools.push(ToolFile {
        path: "/bin/grange-agent".into(),
        source: program("grange-agent", args.agent_program.as_deref())?,
        mode: 0o755,
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let serving = serve(&machine, &options, &dialer, &password.0, &args);
    tokio::select! {
        failed = serving => failed.map(|()| Exit::Done),
        // What runs is dropped, and so killed: the coordinator hears no more of it, and gives its builds to others.
        _ = terminate.recv() => Ok(Exit::Done),
        _ = interrupt.recv() => Ok(Exit::Done),
    }
}

/// Clone after clone. Ends only if the first does not come up.
async fn serve(
    machine: &MachineHome,
    options: &ServeOptions,
    dialer: &Arc<Dialer>,
    password: &str,
    args: &VmAgent,
) -> anyhow::Result<()> {
    let mut pause = Duration::from_secs(1);
    let mut was_up = false;
    loop {
        let begun = Instant::now();
        let ended = serve_once(machine, options, dialer, password, args, &mut was_up).await;
        let Err(error) = ended else {
            continue;
        };
        if !was_up {
            return Err(error);
        }
        if begun.elapsed() > SOON {
            pause = Duration::from_secs(1);
        }
        note(&format!(
            "{}; another clone follows",
            failure::one_line(&error)
        ));
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

async fn serve_once(
    machine: &MachineHome,
    options: &ServeOptions,
    dialer: &Arc<Dialer>,
    password: &str,
    args: &VmAgent,
    was_up: &mut bool,
) -> anyhow::Result<()> {
    let mut lent = machine.lend(options).await?;
    let guest = lent
        .running
        .guest()
        .context("the clone has no guest program")?
        .clone();
    let port = lent
        .running
        .agent_port()
        .await
        .context("cannot open the clone's port")?;
    let secret = format!("{password}\n");
    let agent = agent(machine, &guest, args);
    let relaying = relay(port, || {
        let dialer = Arc::clone(dialer);
        async move {
            dialer
                .dial()
                .await
                .map_err(|refusal| io::Error::other(refusal.message))
        }
    });
    let working = async {
        let put = Put::of(PASSWORD, secret.as_bytes()).mode(0o400);
        let given = guest.put(put, secret.as_bytes()).await;
        given.context("cannot give the guest the password")?;
        let relay = Exec::new(GUEST).args(["relay", RELAY_PORT, SOCKET]);
        tokio::try_join!(follow(&guest, relay), async {
            listens(&guest).await?;
            *was_up = true;
            tell_manager(&[NotifyState::Ready]);
            note(&format!(
                "a clone of {} builds ({})",
                machine.machine.name, lent.accelerator
            ));
            follow(&guest, agent).await
        })
    };
    tokio::select! {
        done = async {
            let done = working.await;
            sleep(Duration::from_secs(1)).await;
            done
        } => done.map(|_| ()),
        ended = async {
            let error = relaying.await;
            // If the emulator has ended, that is why, and is told first.
            sleep(Duration::from_secs(1)).await;
            Err(error).context("what carries the agent's connections has ended")
        } => ended,
        ending = lent.running.watch(std::future::pending(), |_| {}) => {
            Err(anyhow::Error::from(ending).context("the clone is no more"))
        }
    }
}

/// Waits until the relay in the guest listens.
async fn listens(guest: &Guest) -> anyhow::Result<()> {
    let script = "for i in $(seq 200); do [ -S \"$1\" ] && exit 0; sleep 0.05; done; exit 1";
    let running = guest
        .run(Exec::new("/bin/sh").args(["-c", script, "sh", SOCKET]))
        .await?;
    if running.output(4096).await?.exit.is_success() {
        return Ok(());
    }
    bail!("the relay in the guest has not come up")
}

/// What the agent is started with. Its tags say what the machine is.
fn agent(machine: &MachineHome, guest: &Guest, args: &VmAgent) -> Exec {
    let spec = &machine.machine;
    let mut tags = vec![
        ("date".to_owned(), spec.date.tag()),
        ("kernel".to_owned(), guest.welcome().kernel.clone()),
    ];
    let cpu = spec.guest_system().and_then(|system| spec.cpu(&system));
    tags.extend(cpu.map(|cpu| ("cpu".to_owned(), cpu.to_string())));
    tags.extend(
        args.tags
            .iter()
            .map(|tag| (tag.key.clone(), tag.value.clone())),
    );
    let mut exec = Exec::new(AGENT)
        .args(["--coordinator", &format!("unix:{SOCKET}")])
        .args([
            "--uuid",
            &args.uuid.to_string(),
            "--password-file",
            PASSWORD,
        ])
        .args(["--state-dir", "/var/lib/grange-agent"])
        .args([
            "--max-parallel-builds",
            &args.max_parallel_builds.to_string(),
        ])
        .args(["--began", &now().to_string()])
        .env("HOME", "/root");
    for system in &spec.systems {
        exec = exec.args(["--system", system]);
    }
    for (key, value) in tags {
        exec = exec.arg("--tag").arg(format!("{key}={value}"));
    }
    let chosen = [
        ("date", true),
        ("cpu", spec.cpu.is_some()),
        ("kernel", spec.kernel.is_some()),
    ];
    for (key, _) in chosen.iter().filter(|(_, chosen)| *chosen) {
        exec = exec.args(["--exclusive", key]);
    }
    exec.args(args.agent_arguments.iter().cloned())
}

/// Milliseconds since 1970: the guest's clock does not know them, and tells no clone from the one before.
fn now() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Runs a program of ours that does not end by itself, and passes on what it says.
async fn follow(guest: &Guest, exec: Exec) -> anyhow::Result<()> {
    let name = exec
        .program
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut running = guest
        .run(exec)
        .await
        .with_context(|| format!("cannot start {name} in the guest"))?;
    drop(running.stdout.take());
    let errors = running.stderr.take();
    let mut errors = errors.context("it has no output for errors")?;
    let mut lines = Lines::default();
    let mut buffer = vec![0; 4096];
    while let count @ 1.. = errors.read(&mut buffer).await? {
        lines.push(&buffer[..count], |line| {
            // If nobody reads it, nobody misses it.
            let _: io::Result<()> = writeln!(io::stderr().lock(), "{line}");
        });
    }
    let last = lines.last;
    let exit = running.wait().await?;
    bail!("{name} in the guest has ended with {exit}: {last}")
}
