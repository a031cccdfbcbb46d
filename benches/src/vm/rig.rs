//! A machine to be measured.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Context as _;
use grange_vm::home::{Home, HomeError, MachineHome, ServeOptions};
use grange_vm::machine::VirtualBuildMachine;
use grange_vm::qemu::Accelerator;
use grange_vm::run::Plan;
use grange_vm_image::ImageStore;

use crate::farm::program;

/// What the machine is called.
pub const MACHINE: &str = "bench";
const IMAGE: &str = "debian-12";

/// A machine of 2020, in `target/vm` beside those of the tests, whose images it uses.
#[derive(Debug)]
pub struct Rig {
    /// Where images and machines are.
    pub home: PathBuf,
    /// The machine.
    pub machine: MachineHome,
    /// What it is started with: TCG, no network, no port of the host.
    pub plan: Plan,
}

impl Rig {
    /// Why there can be none here.
    #[must_use]
    pub fn lacks() -> Option<String> {
        if std::env::consts::ARCH != "x86_64" {
            return Some("machines are of x86-64, and this one is not".into());
        }
        for (name, package) in [
            ("qemu-system-x86_64", "qemu-system-x86"),
            ("sqfstar", "squashfs-tools"),
        ] {
            if !searched().iter().any(|place| place.join(name).is_file()) {
                return Some(format!("needs {name} (Debian package {package})"));
            }
        }
        (!guest_program().exists())
            .then(|| "needs the guest program, which `cargo xtask guest` builds".into())
    }

    /// Makes the machine, and its image if it is not there.
    ///
    /// # Errors
    ///
    /// The image cannot be made, or the machine not be kept.
    pub async fn new(memory_mib: u64, cpu_count: u32) -> anyhow::Result<Self> {
        let home = root().join("target/vm");
        let mut building = Command::new(program("grange")?);
        building.args(["vm", "--vm-dir"]).arg(&home);
        building.args(["image", "build", IMAGE, "--guest-program"]);
        let built = building.arg(guest_program()).output()?;
        let said = String::from_utf8_lossy(&built.stderr);
        anyhow::ensure!(built.status.success(), "there is no image: {said}");

        let machines = Home::open(&home)?;
        let mut machine = VirtualBuildMachine::new(MACHINE.parse()?);
        machine.memory = memory_mib;
        machine.cpu_count = cpu_count;
        // An earlier run was killed.
        match machines.machine(&machine.name) {
            Ok(left) => left.destroy().await?,
            Err(HomeError::Unknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let machine = machines.create(&machine)?;
        let images = Arc::new(ImageStore::open(home.join("images"))?);
        let mut options = ServeOptions::new(images, searched());
        options.accelerator = Some(Accelerator::Tcg);
        let (mut plan, _) = machine.plan(&options, &machine.run_directory()).await?;
        plan.forwards = Vec::new();
        Ok(Self {
            home,
            machine,
            plan,
        })
    }

    /// A directory for a machine's sockets.
    #[must_use]
    pub fn directory(&self, name: &str) -> PathBuf {
        self.machine.directory().join(name)
    }

    /// Removes the machine.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub async fn remove(self) -> anyhow::Result<()> {
        let removed = self.machine.destroy().await;
        removed.context("cannot remove the machine")
    }
}

/// Our program for guests, static.
fn guest_program() -> PathBuf {
    root().join("target/guest/x86_64-unknown-linux-gnu/release/grange-guest")
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

fn searched() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}
