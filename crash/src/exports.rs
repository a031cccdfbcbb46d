//! An agent that is killed while it signs an item for a guix-daemon.
//!
//! The daemon is none: it takes what comes, and keeps it. A real one would say that what breaks off is none of its
//! business, and what is there is whether anything signed has left an agent that died before.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use grange_daemon_protocol::wire::{DAEMON_MAGIC, Request};
use grange_fail_points::Point;

use crate::farm::PATIENCE;
use crate::process::Process;

/// Points that are passed for each item that a guix-daemon is given: the first one as the agent starts.
pub(crate) const EXPORTS: [Point; 2] = [Point::ExportSigning, Point::ExportSigned];

const VERSION: u64 = 0x164;
const LAST: u64 = 0x616c_7473;
const READ: u64 = 0x6461_7461;
const SET_OPTIONS: u64 = 19;
const IMPORT_PATHS: u64 = 27;

/// Kills at each of them; how often.
pub(crate) fn run(programs: &Path, directory: &Path) -> anyhow::Result<usize> {
    for point in EXPORTS {
        let place = directory.join("export");
        std::fs::create_dir(&place)?;
        killed(programs, &place, point).with_context(|| format!("at {}", point.name()))?;
        std::fs::remove_dir_all(&place)?;
    }
    Ok(EXPORTS.len())
}

fn killed(programs: &Path, directory: &Path, point: Point) -> anyhow::Result<()> {
    let at = |name: &str| directory.join(name);
    let daemon = Daemon::start(&at("socket"))?;
    std::fs::write(at("password"), "a password of nobody\n")?;
    let id = uuid::Uuid::now_v7().to_string();
    let mut words: Vec<_> = [
        // Nobody is there.
        "--coordinator=unix:/nowhere",
        "--builder=guix",
        &format!("--uuid={id}"),
    ]
    .map(str::to_owned)
    .to_vec();
    for (flag, name) in [
        ("--daemon-socket", "socket"),
        ("--password-file", "password"),
        ("--state-dir", "agent"),
    ] {
        words.push(format!("{flag}={}", at(name).display()));
    }
    let program = programs.join("grange-agent");
    let mut agent = Process::new(program, words, at("log"), at("dies"));
    agent.arm(point.name(), 1)?;
    agent.start()?;
    wait(|| agent.has_died())?;
    wait(|| Ok(daemon.broken()? == 1))?;
    ensure!(daemon.whole()?.is_empty(), "the daemon has a whole item");
    agent.start()?;
    wait(|| Ok(!daemon.whole()?.is_empty()))?;
    let signature = b"(signature";
    for item in daemon.whole()? {
        let signed = item.windows(signature.len()).any(|it| it == signature);
        ensure!(signed, "the daemon has an item without a signature");
    }
    agent.stop()
}

fn wait(mut reached: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !reached()? {
        ensure!(begun.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// What came of imports.
#[derive(Debug, Default)]
struct Taken {
    whole: Vec<Vec<u8>>,
    broken: usize,
}

/// Something that speaks as a guix-daemon, to whoever wants to import.
#[derive(Debug)]
struct Daemon(Arc<Mutex<Taken>>);

impl Daemon {
    /// It listens as long as this program runs.
    fn start(socket: &Path) -> anyhow::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let taken = Arc::new(Mutex::new(Taken::default()));
        let all = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = Arc::clone(&all);
                std::thread::spawn(move || Talk { stream, taken }.run());
            }
        });
        Ok(Self(taken))
    }

    fn whole(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        Ok(lock(&self.0).whole.clone())
    }

    fn broken(&self) -> anyhow::Result<usize> {
        Ok(lock(&self.0).broken)
    }
}

fn lock(taken: &Mutex<Taken>) -> std::sync::MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection, until the other side goes.
struct Talk {
    stream: UnixStream,
    taken: Arc<Mutex<Taken>>,
}

impl Talk {
    fn run(mut self) -> io::Result<()> {
        self.number()?;
        self.say(&[DAEMON_MAGIC, VERSION])?;
        // Its version, a processor, whether to reserve space.
        for _ in 0..3 {
            self.number()?;
        }
        self.say(&[LAST])?;
        loop {
            match self.number()? {
                SET_OPTIONS => {
                    for _ in 0..9 {
                        self.number()?;
                    }
                    for _ in 0..2 * self.number()? {
                        self.string()?;
                    }
                    self.say(&[LAST])?;
                }
                IMPORT_PATHS => self.import()?,
                _ => return Ok(()),
            }
        }
    }

    fn import(&mut self) -> io::Result<()> {
        let mut item = Vec::new();
        loop {
            self.say(&[READ, 1 << 20])?;
            match self.string() {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => item.extend(piece),
                Err(error) => {
                    lock(&self.taken).broken += 1;
                    return Err(error);
                }
            }
        }
        lock(&self.taken).whole.push(item);
        // No path.
        self.say(&[LAST, 0])
    }

    fn say(&mut self, numbers: &[u64]) -> io::Result<()> {
        let mut said = Request::empty();
        for number in numbers {
            said.number(*number);
        }
        self.stream.write_all(said.as_bytes())
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.stream.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn string(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.number()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length.next_multiple_of(8)];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }
}
