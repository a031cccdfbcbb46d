//! KVM or not.

use std::fmt;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::{BootError, io};
use super::plan::{Plan, boot_id};
use super::running::Running;
use crate::qemu::{Accelerator, Boot};

const DEVICE: &str = "/dev/kvm";
/// A trial boot with KVM is over within this time, where KVM is what it should be: it takes less than a second.
const TRIAL: Duration = Duration::from_secs(5);

/// A trial that went wrong may have met a busy moment: after this time there is another.
const DOUBTED: Duration = Duration::from_secs(3600);

/// What executes a machine, and why that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What.
    pub accelerator: Accelerator,
    /// Why.
    pub why: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.accelerator, self.why)
    }
}

fn tcg(why: impl Into<String>) -> Choice {
    Choice {
        accelerator: Accelerator::Tcg,
        why: why.into(),
    }
}

/// Chooses KVM if a machine boots with it, and soon. That a device can be opened does not say so: a kernel that runs on another's KVM may offer
/// one with which guests are slower than without, or never come up.
///
/// The trial boots the image's kernel as far as our program in the initramfs, with its sockets in `directory`. What came of it is kept in `cache`,
/// and holds for this boot of the host, this emulator and this image; for an hour if it went wrong.
///
/// # Errors
///
/// The cache cannot be written.
pub async fn choose_accelerator(
    plan: &Plan,
    directory: &Path,
    cache: &Path,
) -> Result<Choice, BootError> {
    if !plan
        .emulator
        .program
        .ends_with(format!("qemu-system-{}", std::env::consts::ARCH))
    {
        return Ok(tcg("the guest's processor is not of the host's kind"));
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open(DEVICE) {
        return Ok(tcg(format!("/dev/kvm cannot be opened: {error}")));
    }
    if !plan.image.has_guest {
        return Ok(tcg(
            "KVM is there, but nothing in the image says whether it has booted with it",
        ));
    }
    let key = format!(
        "{} {} {} {:?}",
        boot_id(),
        plan.emulator.version,
        plan.image.id,
        plan.user
    );
    let kept = std::fs::read(cache).ok();
    let kept: Option<Kept> = kept.and_then(|text| serde_json::from_slice(&text).ok());
    let holds = |kept: &Kept| {
        let good = kept.choice.accelerator == Accelerator::Kvm;
        let made = std::fs::metadata(cache).and_then(|cache| cache.modified());
        let age = made.ok().and_then(|made| made.elapsed().ok());
        kept.key == key && (good || age.is_some_and(|age| age < DOUBTED))
    };
    if let Some(kept) = kept.filter(holds) {
        return Ok(kept.choice);
    }
    let choice = try_kvm(plan, directory).await;
    let text = serde_json::to_vec(&Kept {
        key,
        choice: choice.clone(),
    });
    let text = text.expect("it is a string and a choice");
    std::fs::write(cache, text).map_err(io("write", cache))?;
    Ok(choice)
}

impl Plan {
    /// Has it executed so. With KVM, its emulator belongs to the group that may use it, if there is one.
    pub fn accelerate(&mut self, accelerator: Accelerator) {
        use std::os::unix::fs::MetadataExt as _;
        self.accelerator = accelerator;
        let Some(user) = &mut self.user else {
            return;
        };
        user.gid = match (accelerator, std::fs::metadata(DEVICE)) {
            (Accelerator::Kvm, Ok(device)) if device.mode() & 0o060 == 0o060 => device.gid(),
            _ => user.uid,
        };
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    choice: Choice,
}

async fn try_kvm(plan: &Plan, directory: &Path) -> Choice {
    let mut trial = plan.clone();
    trial.accelerate(Accelerator::Kvm);
    trial.forwards = Vec::new();
    trial.disk = None;
    trial.machine.memory = 256;
    trial.machine.cpu_count = 1;
    if let Boot::Kernel { arguments, .. } = &mut trial.image.boot {
        // Without a root, our program stays in the initramfs.
        arguments.clear();
    }
    let begun = Instant::now();
    match Running::boot(&trial, directory, TRIAL).await {
        Ok(running) => {
            let took = begun.elapsed().as_millis();
            // Whatever comes of that, it has booted.
            let _: std::io::Result<_> = running.power_cut().await;
            Choice {
                accelerator: Accelerator::Kvm,
                why: format!("a trial boot with it took {took} ms"),
            }
        }
        Err(BootError::Silent { limit, .. }) => tcg(format!(
            "KVM is there, but a trial boot with it had not ended after {} s",
            limit.as_secs()
        )),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let source = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            tcg(format!(
                "KVM is there, but a trial boot with it failed: {first}{}",
                source.unwrap_or_default()
            ))
        }
    }
}
