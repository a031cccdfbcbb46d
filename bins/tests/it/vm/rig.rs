//! Machines for tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::{GRANGE, Ran, program};

/// The machines of these tests, all in one directory: images and templates are made once.
pub(crate) struct Rig {
    home: PathBuf,
}

static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// What is built for guests.
pub(crate) fn guest_program() -> PathBuf {
    root().join("target/guest/x86_64-unknown-linux-gnu/release/grange-guest")
}

/// Where machines can be; or says why not.
pub(crate) fn rig() -> Option<Rig> {
    match READY.get_or_init(prepare) {
        Ok(home) => Some(Rig { home: home.clone() }),
        Err(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

fn prepare() -> Result<PathBuf, String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("machines are of x86-64, and this one is not".into());
    }
    for (name, package) in [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("sqfstar", "squashfs-tools"),
    ] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {name}")])
            .output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("needs {name} (Debian package {package})"));
        }
    }
    if !guest_program().exists() {
        return Err("needs the guest program, which `cargo xtask guest` builds".into());
    }
    let home = home();
    let rig = Rig { home: home.clone() };
    // Else the last run's templates are used: of an emulator or a guest that may have changed they are not.
    let guest = guest_program().display().to_string();
    let built = rig.grange(&["image", "build", "debian-12", "--guest-program", &guest]);
    // Without the registry of packages there is no image; that is no defect of ours.
    if built.status != 0 && built.stderr.contains("cannot fetch") {
        return Err(format!("there is no image: {}", built.stderr));
    }
    built.expect(0);
    Ok(home)
}

/// `target/vm`, if emulators of other users can get there.
fn home() -> PathBuf {
    use std::os::unix::fs::MetadataExt as _;
    let home = root().join("target/vm");
    std::fs::create_dir_all(&home).unwrap();
    let open = |path: &Path| path.metadata().unwrap().mode() & 0o001 != 0;
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 || home.ancestors().all(open) {
        return home;
    }
    let home = std::env::temp_dir().join("grange-vm-tests");
    std::fs::create_dir_all(&home).unwrap();
    home
}

impl Rig {
    /// Runs `grange vm`.
    pub(crate) fn grange(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(GRANGE);
        command.env_remove("GRANGE_VM_DIR");
        command
            .arg("vm")
            .arg("--vm-dir")
            .arg(&self.home)
            .args(arguments);
        command
    }

    /// Makes a machine anew: one that was left by an earlier run goes. It is small, for boots without KVM on two processors.
    pub(crate) fn create(&self, name: &str, more: &[&str]) -> Machine<'_> {
        self.grange(&["stop", name]);
        self.grange(&["destroy", name]);
        let mut create = vec!["create", name, "--cpu-count", "1"];
        if !more.contains(&"--memory") {
            create.extend(["--memory", "512"]);
        }
        create.extend(more);
        self.grange(&create).expect(0);
        Machine {
            rig: self,
            name: name.into(),
        }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.home.join("machines").join(name)
    }
}

/// A machine, which goes with the test.
pub(crate) struct Machine<'a> {
    pub(crate) rig: &'a Rig,
    pub(crate) name: String,
}

impl Machine<'_> {
    /// Runs something in a clone.
    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> Ran {
        self.rig
            .grange(&[&["run", &self.name], options, &["--"], command].concat())
    }

    /// The process ids of its emulators.
    pub(crate) fn emulators(&self) -> Vec<u32> {
        let directory = self.rig.directory(&self.name).display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap();
        let ids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let is_ours = |id: &u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.starts_with("/usr/bin/qemu-system") && line.contains(&directory)
        };
        ids.filter(is_ours).collect()
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        self.rig.grange(&["stop", &self.name]);
        self.rig.grange(&["destroy", &self.name]);
    }
}
