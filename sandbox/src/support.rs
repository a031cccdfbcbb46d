//! Whether this machine allows sandboxes.

use std::io;

use grange_interfaces::{Log, Stop};
use grange_model::Limits;

use crate::config::FIRST_BUILD_UID;
use crate::config::Helper;
use crate::machine;
use crate::plan::{End, Identity, Ids, Obstacle, Plan, PrivateRoot, Root};
use crate::run::{Ran, Runner};

/// The probe is given so long.
const PROBE: Limits = Limits {
    timeout_ms: 30_000,
    max_silent_ms: 30_000,
};

/// This machine does not allow sandboxes. The operator's turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSupported {
    /// Namespaces cannot be made.
    #[error("this machine does not let us make namespaces ({}): {advice}", .missing.join(", "))]
    Namespaces {
        /// Which: `user`, `mount`, `pid`, `net`, `ipc`, `uts`.
        missing: Vec<String>,
        /// What may be the reason, and what to do about it.
        advice: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// They can be made, but not be used.
    #[error("this machine does not let us use namespaces: cannot {step}")]
    Step {
        /// What could not be done in them.
        step: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The helper cannot be run.
    #[error("the sandbox's helper does not do its work")]
    Helper(#[source] io::Error),
}

/// Sees whether a sandbox can be made: makes one and runs nothing in it.
///
/// # Errors
///
/// [`NotSupported`], with what is missing.
pub async fn check_support(helper: &Helper) -> Result<(), NotSupported> {
    // A directory that every machine has; the root is mounted on it where nobody else sees it.
    let at = b"/etc".to_vec();
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let directories = ["dev", "dev/pts", "dev/shm", "proc"]
        .map(|name| name.as_bytes().to_vec())
        .to_vec();
    let plan = Plan {
        identity: Identity {
            inside: Ids {
                uid: 30001,
                gid: 30001,
            },
            outside: if machine::is_root() {
                Ids {
                    uid: FIRST_BUILD_UID,
                    gid: FIRST_BUILD_UID,
                }
            } else {
                Ids { uid, gid }
            },
            privileged: machine::is_root(),
            in_own_group: true,
        },
        host_network: false,
        root: Root::Private(PrivateRoot {
            at,
            directories,
            ..PrivateRoot::default()
        }),
        process: None,
    };
    let (mut log, _receiver) = Log::new(1);
    let stop = Stop::never();
    let runner = Runner {
        helper,
        limits: PROBE,
        max_log_bytes: None,
        stop: &stop,
    };
    match runner
        .run(&plan, &mut log)
        .await
        .map_err(NotSupported::Helper)?
    {
        Ran::Ended {
            end: End::NotRun(Obstacle::Namespaces { missing, errno }),
            ..
        } => Err(NotSupported::Namespaces {
            advice: advice(&missing),
            missing,
            source: io::Error::from_raw_os_error(errno),
        }),
        Ran::Ended {
            end: End::NotRun(Obstacle::Step { what, errno }),
            ..
        } => Err(NotSupported::Step {
            step: what,
            source: io::Error::from_raw_os_error(errno),
        }),
        // Without a program, the child ends with the status of a failure after it has done everything else.
        Ran::Ended { .. } => Ok(()),
        other => Err(NotSupported::Helper(io::Error::other(format!(
            "the probe ended with {other:?}"
        )))),
    }
}

/// What usually forbids namespaces.
fn advice(missing: &[String]) -> String {
    let mut advice = Vec::new();
    let read = |name: &str| {
        std::fs::read_to_string(format!("/proc/sys/{name}"))
            .ok()
            .map(|it| it.trim().to_owned())
    };
    if !missing.is_empty() && missing.iter().all(|name| name != "user") {
        return "the kernel was built without them, or a container forbids them".to_owned();
    }
    if read("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        advice.push("kernel.unprivileged_userns_clone is 0, set it to 1");
    }
    if read("user/max_user_namespaces").as_deref() == Some("0") {
        advice.push("user.max_user_namespaces is 0, set it to 1000 or more");
    }
    if read("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        advice.push("AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1): set it to 0, or give this program a profile with `userns,`");
    }
    if advice.is_empty() {
        advice.push("the kernel was built without user namespaces, or a container or security module forbids them");
    }
    advice.join("; ")
}
