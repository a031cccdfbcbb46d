//! Two machines and the cable between them: network namespaces of a test's own, and a veth pair.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// Where the coordinator listens in its namespace.
pub(crate) const COORDINATOR: &str = "10.77.0.1:8745";

/// Names of namespaces, by which they are told from those of other tests.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The device, which has the same name at both ends.
const DEVICE: &str = "cable";

/// Which end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Coordinator,
    Agent,
}

/// Two namespaces that are connected with each other and with nothing else, until it is dropped.
#[derive(Debug)]
pub(crate) struct Cable {
    name: String,
}

impl Cable {
    /// None where namespaces cannot be made, which is said.
    pub(crate) fn new() -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cable = Self {
            name: format!("grange-{}-{number}", std::process::id()),
        };
        match cable.lay() {
            Ok(()) => Some(cable),
            Err(error) => {
                println!("skipped: {error}");
                None
            }
        }
    }

    fn lay(&self) -> Result<(), String> {
        let (coordinator, agent) = (self.space(Side::Coordinator), self.space(Side::Agent));
        run("ip", &["netns", "add", &coordinator])?;
        run("ip", &["netns", "add", &agent])?;
        run(
            "ip",
            &[
                "-n",
                &coordinator,
                "link",
                "add",
                DEVICE,
                "type",
                "veth",
                "peer",
                "name",
                DEVICE,
                "netns",
                &agent,
            ],
        )?;
        for (space, address) in [(&coordinator, "10.77.0.1/24"), (&agent, "10.77.0.2/24")] {
            run(
                "ip",
                &["-n", space, "address", "add", address, "dev", DEVICE],
            )?;
            run("ip", &["-n", space, "link", "set", "lo", "up"])?;
            run("ip", &["-n", space, "link", "set", DEVICE, "up"])?;
        }
        Ok(())
    }

    fn space(&self, side: Side) -> String {
        match side {
            Side::Coordinator => format!("{}-c", self.name),
            Side::Agent => format!("{}-a", self.name),
        }
    }

    /// What starts a program at one end.
    pub(crate) fn inside(&self, side: Side) -> Vec<String> {
        let net = format!("--net=/run/netns/{}", self.space(side));
        vec!["nsenter".to_owned(), net, "--".to_owned()]
    }

    /// Pulls it out at one end, or puts it in again.
    pub(crate) fn set(&self, side: Side, up: bool) {
        let state = if up { "up" } else { "down" };
        run(
            "ip",
            &["-n", &self.space(side), "link", "set", DEVICE, state],
        )
        .unwrap();
    }

    /// Lets no more than so many bytes a second through, either way. Says so where that cannot be.
    pub(crate) fn throttle(&self, bytes_per_second: u64) -> bool {
        let rate = format!("{}bit", bytes_per_second * 8);
        for side in [Side::Coordinator, Side::Agent] {
            let space = self.space(side);
            let shaped = run(
                "tc",
                &[
                    "-n", &space, "qdisc", "add", "dev", DEVICE, "root", "tbf", "rate", &rate,
                    "burst", "32kb", "latency", "200ms",
                ],
            );
            if let Err(error) = shaped {
                println!("skipped: {error}");
                return false;
            }
        }
        true
    }

    /// Bytes that the agent's end has sent and received.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let space = self.space(Side::Agent);
        let words = ["-n", &space, "-s", "-j", "link", "show", "dev", DEVICE];
        let text = Command::new("ip").args(words).output().unwrap().stdout;
        let links: Value = serde_json::from_slice(&text).unwrap();
        let bytes = |way: &str| links[0]["stats64"][way]["bytes"].as_u64().unwrap();
        (bytes("tx"), bytes("rx"))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // Processes in them end before.
        for side in [Side::Coordinator, Side::Agent] {
            let _ = run("ip", &["netns", "delete", &self.space(side)]);
        }
    }
}

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", words.join(" "), error.trim()))
}
