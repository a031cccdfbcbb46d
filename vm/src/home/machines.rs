//! The directory.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::{HomeError, io};
use super::status::Status;
use crate::machine::{MachineName, VirtualBuildMachine};
use crate::qemu::User;

/// Emulators of root's machines run as users from here on, one for each machine: nobody else has such numbers, neither the system nor
/// the build users of Guix, Nix and our sandbox.
const FIRST_USER: u32 = 1_900_200_000;
/// So many machines can have a user of their own.
const USERS: u32 = 100_000;

/// Where machines are kept: `machines/NAME/`, `templates/NAME/`.
#[derive(Clone, Debug)]
pub struct Home {
    directory: PathBuf,
}

/// A machine that is kept.
#[derive(Clone, Debug)]
pub struct MachineHome {
    /// What it is.
    pub machine: VirtualBuildMachine,
    directory: PathBuf,
    templates: PathBuf,
}

impl Home {
    /// The one in that directory, which is made.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn open(directory: &Path) -> Result<Self, HomeError> {
        for part in [
            directory.to_owned(),
            directory.join("machines"),
            directory.join("templates"),
        ] {
            if !part.exists() {
                fs::create_dir_all(&part).map_err(io("make", &part))?;
                passable(&part)?;
            }
        }
        let directory = fs::canonicalize(directory).map_err(io("find", directory))?;
        Ok(Self { directory })
    }

    /// Adds a machine. It appears whole or not at all.
    ///
    /// # Errors
    ///
    /// There is one of its name, it cannot be so, or it cannot be written.
    pub fn create(&self, machine: &VirtualBuildMachine) -> Result<MachineHome, HomeError> {
        let name = &machine.name;
        let spec = |source| HomeError::Spec {
            name: name.clone(),
            source,
        };
        machine.check().map_err(spec)?;
        let _lock = self.lock()?;
        let directory = self.machine_directory(name);
        if directory.exists() {
            return Err(HomeError::Exists(name.clone()));
        }
        let making = self.directory.join("machines").join(format!(".{name}"));
        match fs::remove_dir_all(&making) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io("remove", making)(error));
            }
            _ => {}
        }
        fs::create_dir(&making).map_err(io("make", &making))?;
        passable(&making)?;
        let text = toml::to_string(machine).expect("a machine can be written as TOML");
        write(&making.join("machine.toml"), text.as_bytes())?;
        if is_root() {
            let number = self.free_user()?;
            write(&making.join("user"), number.to_string().as_bytes())?;
        }
        fs::rename(&making, &directory).map_err(io("rename", &making))?;
        self.machine(name)
    }

    /// The machine of that name.
    ///
    /// # Errors
    ///
    /// There is none, or its description is none.
    pub fn machine(&self, name: &MachineName) -> Result<MachineHome, HomeError> {
        let directory = self.machine_directory(name);
        let path = directory.join("machine.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(HomeError::Unknown {
                    name: name.clone(),
                    known: self.names()?,
                });
            }
            Err(error) => return Err(io("read", path)(error)),
        };
        let machine: VirtualBuildMachine =
            toml::from_str(&text).map_err(|source| HomeError::File { path, source })?;
        machine.check().map_err(|source| HomeError::Spec {
            name: name.clone(),
            source,
        })?;
        Ok(MachineHome {
            machine,
            directory,
            templates: self.directory.join("templates"),
        })
    }

    /// The names of all machines, sorted.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<MachineName>, HomeError> {
        let machines = self.directory.join("machines");
        let mut names = Vec::new();
        for entry in fs::read_dir(&machines).map_err(io("read", &machines))? {
            let entry = entry.map_err(io("read", &machines))?;
            let name = entry.file_name();
            names.extend(name.to_str().and_then(|name| name.parse().ok()));
        }
        names.sort();
        Ok(names)
    }

    fn machine_directory(&self, name: &MachineName) -> PathBuf {
        self.directory.join("machines").join(name.as_str())
    }

    fn lock(&self) -> Result<File, HomeError> {
        let path = self.directory.join("lock");
        let file = File::create(&path).map_err(io("make", &path))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| io("lock", &path)(error.into()))?;
        Ok(file)
    }

    /// The lowest number that no machine has.
    fn free_user(&self) -> Result<u32, HomeError> {
        let mut taken = Vec::new();
        for name in self.names()? {
            taken.extend(user_number(&self.machine_directory(&name)));
        }
        let mut free = (FIRST_USER..FIRST_USER + USERS).filter(|number| !taken.contains(number));
        free.next().ok_or_else(|| {
            let full = std::io::Error::other("there are too many machines");
            io("find a user for a machine in", &self.directory)(full)
        })
    }
}

impl MachineHome {
    /// Where its things lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the sockets of it lie while it runs.
    #[must_use]
    pub fn run_directory(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// Where its templates lie, and those of others.
    #[must_use]
    pub fn templates(&self) -> &Path {
        &self.templates
    }

    /// Who its emulators run as. None: whoever starts it, who is not root.
    ///
    /// # Errors
    ///
    /// Root starts it, and it has no user: somebody else has made it.
    pub fn user(&self) -> Result<Option<User>, HomeError> {
        if !is_root() {
            return Ok(None);
        }
        let number = user_number(&self.directory);
        let number = number.ok_or_else(|| HomeError::NoUser(self.machine.name.clone()))?;
        Ok(Some(User {
            uid: number,
            gid: number,
        }))
    }

    /// What it is doing.
    ///
    /// # Errors
    ///
    /// That cannot be read.
    pub fn status(&self) -> Result<Status, HomeError> {
        Status::read(&self.directory, self.is_held()?)
    }

    /// Whether somebody runs it. Who looks keeps nobody else from looking, and whoever wants to run it only for a moment.
    fn is_held(&self) -> Result<bool, HomeError> {
        let path = self.directory.join("lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io("read", path)(error)),
        };
        let free = flock(&file, FlockOperation::NonBlockingLockShared);
        Ok(free == Err(rustix::io::Errno::WOULDBLOCK))
    }

    /// Takes it for whoever runs it. None: somebody runs it already.
    pub(super) fn try_lock(&self) -> Result<Option<File>, HomeError> {
        self.lock_file("lock", FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes it for whoever has a clone of it, of whom there may be many.
    pub(super) fn lock_for_clone(&self) -> Result<Option<File>, HomeError> {
        self.lock_file("lent", FlockOperation::NonBlockingLockShared)
    }

    fn lock_file(&self, name: &str, how: FlockOperation) -> Result<Option<File>, HomeError> {
        let path = self.directory.join(name);
        let file = File::create(&path).map_err(io("make", &path))?;
        match flock(&file, how) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(io("lock", path)(error.into())),
        }
    }

    /// Removes it with all its keys and templates.
    ///
    /// # Errors
    ///
    /// It runs, or cannot be removed.
    pub async fn destroy(self) -> Result<(), HomeError> {
        let name = self.machine.name.clone();
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        let Some(_lock) = self.try_lock()? else {
            return Err(HomeError::Runs(name));
        };
        let Some(_lent) = self.lock_file("lent", exclusive)? else {
            return Err(HomeError::Lent(name));
        };
        let dropped = crate::run::Template::drop_all(&self.templates, &name).await;
        dropped.map_err(|source| HomeError::Boot {
            name: name.clone(),
            source,
        })?;
        let templates = self.templates.join(name.as_str());
        match fs::remove_dir_all(&templates) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io("remove", templates)(error));
            }
            _ => {}
        }
        // Gone under its name at once, whatever becomes of the rest.
        let leaving = self.directory.with_file_name(format!(".{name}"));
        fs::rename(&self.directory, &leaving).map_err(io("rename", &self.directory))?;
        fs::remove_dir_all(&leaving).map_err(io("remove", leaving))
    }
}

fn user_number(directory: &Path) -> Option<u32> {
    let text = fs::read_to_string(directory.join("user")).ok()?;
    let number = text.trim().parse().ok()?;
    (FIRST_USER..FIRST_USER + USERS)
        .contains(&number)
        .then_some(number)
}

/// A directory through which emulators of other users get to what is theirs, whatever the umask is.
pub(super) fn passable(directory: &Path) -> Result<(), HomeError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::Permissions::from_mode(0o711);
    fs::set_permissions(directory, mode).map_err(io("open", directory))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Writes a file through to the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let mut file = File::create(path).map_err(io("make", path))?;
    file.write_all(bytes).map_err(io("write", path))?;
    file.sync_all().map_err(io("write through", path))
}
