//! Looking after a machine while it runs.

use std::ffi::OsString;
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use grange_guest::client::{ClientError, Guest};
use grange_guest::protocol::{Exec, Put};
use grange_vm_image::ToolFile;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::attach;
use super::error::{HomeError, io};
use super::machines::MachineHome;
use super::status::{State, Status};
use crate::image::ImageSource;
use crate::qemu::{Accelerator, Emulator, Qmp, User};
use crate::run::{
    BootError, Channel, Choice, Ending, Health, Plan, PlannedDisk, Running, choose_accelerator,
};
use crate::secrets::{SecretFile, connect_and_send};

/// The guest's port at which Guix's systems wait for secrets.
const SECRETS_PORT: u16 = 1004;
/// An emulator whose supervisor was killed is asked to end, and has so long to do so.
const ORPHAN: Duration = Duration::from_secs(5);

/// How often, and how long after each other, it is tried to take a machine that somebody may only be looking at.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(10);
/// An image without sshd is reached by its channel alone.
const SSHD: &str = "[ -x /usr/sbin/sshd ] || exit 0; mkdir -p -m 755 /run/sshd && exec /usr/sbin/sshd \
    -o PasswordAuthentication=no -o AuthorizedKeysFile='/etc/ssh/authorized_keys.d/%u .ssh/authorized_keys'";
/// What an image wants started, such as a daemon. Nobody waits for it; what it says is seen on the console.
const START: &str =
    "[ ! -x /etc/rc.local ] || setsid /etc/rc.local < /dev/null > /dev/console 2>&1 &";

/// How machines are started.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where images come from.
    pub images: Arc<dyn ImageSource>,
    /// Programs that the guest is given at `/run/grange/tools`.
    pub tools: Vec<ToolFile>,
    /// Where emulators are looked for.
    pub search: Vec<PathBuf>,
    /// What executes it. Default: KVM if a trial boot with it goes well, else TCG.
    pub accelerator: Option<Accelerator>,
    /// By what it is spoken to; clones always by their serial ports. Default: so is it.
    pub channel: Channel,
    /// Whether it may reach others. Default: no.
    pub network: bool,
    /// Arguments that are added to the emulator's.
    pub further: Vec<OsString>,
    /// It has to answer within this time. Default: 180 s; on a busy machine without KVM a boot takes a while.
    pub limit: Duration,
}

impl ServeOptions {
    /// The defaults.
    #[must_use]
    pub fn new(images: Arc<dyn ImageSource>, search: Vec<PathBuf>) -> Self {
        Self {
            images,
            tools: Vec::new(),
            search,
            accelerator: None,
            channel: Channel::Serial,
            network: false,
            further: Vec::new(),
            limit: Duration::from_secs(180),
        }
    }
}

/// How it came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Why it is no more.
    pub ending: Ending,
}

impl MachineHome {
    /// All that the machine is started with, and why it is executed so. The trial of KVM has its sockets in `directory`.
    ///
    /// # Errors
    ///
    /// There is no emulator or image for it, or the emulator does not know its processor.
    pub async fn plan(
        &self,
        options: &ServeOptions,
        directory: &Path,
    ) -> Result<(Plan, Choice), HomeError> {
        let user = self.user()?;
        let planned = self.try_plan(options, directory, user).await;
        planned.map_err(|source| self.failed(source))
    }

    async fn try_plan(
        &self,
        options: &ServeOptions,
        directory: &Path,
        user: Option<User>,
    ) -> Result<(Plan, Choice), BootError> {
        let machine = &self.machine;
        let system = machine.guest_system()?;
        let program = machine.qemu.clone();
        let program = program.unwrap_or_else(|| PathBuf::from(&system.emulator));
        let cpu = machine.cpu(&system)?;
        let cache = self.directory().join("emulator.json");
        let emulator = Emulator::find_for(&program, &options.search, &cpu, &cache).await?;
        let (images, tools) = (Arc::clone(&options.images), options.tools.clone());
        let (name, kernel) = (machine.image.clone(), machine.kernel.clone());
        let finding = tokio::task::spawn_blocking(move || {
            let mut image = images.find(&name)?;
            if let Some(kernel) = kernel {
                let with = image.with_kernel(&kernel);
                image = with.map_err(|source| BootError::Io {
                    what: "read the kernel",
                    path: kernel,
                    source,
                })?;
            }
            if image.has_guest && !tools.is_empty() {
                image = image.with_tools(&images.tools(&tools)?);
            }
            Ok::<_, BootError>(image)
        });
        let image = finding.await.expect("it does not panic")?;
        let mut plan = Plan {
            machine: machine.clone(),
            image,
            emulator,
            accelerator: Accelerator::Tcg,
            disk: match machine.disk_size {
                Some(size) => Some(PlannedDisk::find(size, &options.search)?),
                None => None,
            },
            channel: Channel::Serial,
            forwards: machine.forwards(&system),
            network: options.network,
            user,
            further: options.further.clone(),
        };
        let choice = match options.accelerator {
            Some(accelerator) => Choice {
                accelerator,
                why: "asked for".into(),
            },
            None => {
                let cache = self.directory().join("accelerator.json");
                choose_accelerator(&plan, directory, &cache).await?
            }
        };
        plan.accelerate(choice.accelerator);
        plan.channel = options.channel;
        Ok((plan, choice))
    }

    /// Starts the machine, looks after it, and stops it when `stop` is ready. `tell` hears how it is whenever that changes; it is written down as
    /// well, for [`MachineHome::status`].
    ///
    /// # Errors
    ///
    /// Somebody looks after it already, or it does not come up. That it ended by itself later is no error here: see [`Served`].
    pub async fn serve(
        &self,
        options: &ServeOptions,
        stop: impl Future<Output = ()>,
        mut tell: impl FnMut(&Status),
    ) -> Result<Served, HomeError> {
        // Who only looks holds it for a moment.
        let mut lock = self.try_lock()?;
        for _ in 0..LOOKS {
            if lock.is_some() {
                break;
            }
            sleep(LOOK).await;
            lock = self.try_lock()?;
        }
        let Some(_lock) = lock else {
            return Err(HomeError::Runs(self.machine.name.clone()));
        };
        let mut say = |status: &Status| -> Result<(), HomeError> {
            status.write(self.directory())?;
            tell(status);
            Ok(())
        };
        let mut status = Status::new(State::Starting);
        status.supervisor = Some(std::process::id());
        say(&status)?;
        tokio::pin!(stop);
        let served = tokio::select! {
            // Dropped, what is being started is killed.
            () = &mut stop => Ok(Ending::Asked),
            started = self.start(options, &mut status) => match started {
                Ok(running) => self.look_after(running, stop, &mut status, &mut say).await,
                Err(error) => Err(error),
            },
        };
        let mut last = Status::new(match served {
            Ok(Ending::Asked) => State::Stopped,
            _ => State::Failed,
        });
        last.text = match &served {
            Ok(ending) => ending.to_string(),
            Err(error) => causes(error),
        };
        say(&last)?;
        served.map(|ending| Served { ending })
    }

    async fn start(
        &self,
        options: &ServeOptions,
        status: &mut Status,
    ) -> Result<Running, HomeError> {
        let directory = self.run_directory();
        end_orphan(&directory).await;
        let (plan, choice) = self.plan(options, &directory).await?;
        status.accelerator = Some(choice);
        for forward in &plan.forwards {
            let address = (forward.address(), forward.host);
            if let Err(error) = TcpListener::bind(address)
                && error.kind() == std::io::ErrorKind::AddrInUse
            {
                return Err(HomeError::Port {
                    name: self.machine.name.clone(),
                    port: forward.host,
                });
            }
        }
        let booted = Running::boot(&plan, &directory, options.limit).await;
        let running = booted.map_err(|source| self.failed(source))?;
        let secrets = self.secrets()?;
        match running.guest() {
            Some(guest) => {
                status.kernel = Some(guest.welcome().kernel.clone());
                let given = timeout(options.limit, give(guest, &secrets)).await;
                let given = given.unwrap_or(Err(ClientError::TimedOut));
                given.map_err(|source| self.failed(source.into()))?;
            }
            None if !secrets.is_empty() => self.send(&plan, &secrets, options.limit).await?,
            None => {}
        }
        status.emulator = running.id();
        status.missing_features = running.missing_features();
        Ok(running)
    }

    /// Gives secrets to a guest that waits for them as Guix's do.
    async fn send(
        &self,
        plan: &Plan,
        secrets: &[SecretFile],
        limit: Duration,
    ) -> Result<(), HomeError> {
        let forward = plan.forwards.iter().find(|one| one.guest == SECRETS_PORT);
        let forward = forward.ok_or_else(|| HomeError::NoWay(self.machine.name.clone()))?;
        let address = (forward.address(), forward.host).into();
        let sent = connect_and_send(address, secrets, limit).await;
        sent.map_err(|error| HomeError::Program {
            program: "the guest's secret service",
            said: error.to_string(),
        })
    }

    async fn look_after(
        &self,
        mut running: Running,
        stop: impl Future<Output = ()>,
        status: &mut Status,
        say: &mut impl FnMut(&Status) -> Result<(), HomeError>,
    ) -> Result<Ending, HomeError> {
        status.state = State::Running;
        say(status)?;
        let directory = running.directory().to_owned();
        let console = Arc::clone(running.console());
        let attached = attach::serve(&directory, &console);
        let mut unsaid = Ok(());
        let watched = running.watch(stop, |health| {
            status.text = match health {
                Health::Well => String::new(),
                Health::Stopped(how) => format!("the guest is stopped: {how}"),
                Health::Disk { full: true } => {
                    "the guest cannot write to its disk: the host's is full".into()
                }
                Health::Disk { full: false } => "the guest cannot write to its disk".into(),
            };
            unsaid = say(status);
        });
        let ending = tokio::select! {
            ending = watched => ending,
            failed = attached => match failed {
                Ok(()) => unreachable!("it serves until it fails"),
                Err(error) => return Err(io("listen in", directory)(error)),
            },
        };
        unsaid?;
        if ending == Ending::Asked {
            status.state = State::Stopping;
            say(status)?;
        }
        let ended = match ending {
            Ending::Asked => running.shut_down().await,
            _ => running.power_cut().await,
        };
        ended.map_err(io("end the emulator of", self.directory()))?;
        Ok(ending)
    }

    pub(super) fn failed(&self, source: BootError) -> HomeError {
        HomeError::Boot {
            name: self.machine.name.clone(),
            source,
        }
    }
}

/// Puts a machine's keys into our guest, lets it be reached by ssh if it can be, and starts what its image wants started.
async fn give(guest: &Guest, secrets: &[SecretFile]) -> Result<(), ClientError> {
    for secret in secrets {
        let put = Put::of(&secret.path, &secret.contents).mode(secret.mode);
        guest.put(put, secret.contents.as_slice()).await?;
    }
    let scripts = [Some(START), Some(SSHD).filter(|_| !secrets.is_empty())];
    for script in scripts.into_iter().flatten() {
        let started = guest
            .run(Exec::new("/bin/sh").arg("-c").arg(script))
            .await?;
        started.output(64 << 10).await?;
    }
    Ok(())
}

/// An emulator runs on if its supervisor was killed together with the thread that the kernel would have told it by.
async fn end_orphan(directory: &Path) {
    let Ok(stream) = UnixStream::connect(directory.join("qmp")).await else {
        return;
    };
    let asking = async {
        let mut qmp = Qmp::greet(stream, ORPHAN).await?;
        qmp.execute("quit", serde_json::json!({})).await?;
        // It is gone when it says no more.
        while qmp.event().await.is_ok() {}
        Ok::<_, crate::qemu::QmpError>(())
    };
    // If that fails, the new one says what is taken.
    let _: Result<_, _> = timeout(ORPHAN, asking).await;
}

/// An error and its causes, on a line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
