//! QEMU by itself: a kernel, and a first process that says a line and waits.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use grange_vm::qemu::Boot;
use grange_vm::run::Plan;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What the first process says.
const LINE: &str = "grange-bench is there";
/// The first process. The kernel has opened the console for it.
const INIT: &str = "#include <unistd.h>
int main(void) { write(1, \"LINE\\n\", sizeof \"LINE\"); for (;;) pause(); }
";

/// A kernel and the least that can be booted with it.
#[derive(Debug)]
pub struct Bare {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Bare {
    /// QEMU with the plan's kernel, machine type, processors, memory and kernel arguments, and nothing else but a serial console. The
    /// initramfs is made in `directory`, with a C compiler.
    ///
    /// # Errors
    ///
    /// There is no C compiler that links statically, or the plan boots a disk.
    pub fn new(plan: &Plan, directory: &Path) -> anyhow::Result<Self> {
        let launch = plan.launch(directory, grange_vm::qemu::Memory::Own)?;
        let Boot::Kernel { kernel, .. } = &launch.boot else {
            anyhow::bail!("the image has no kernel of its own");
        };
        let initrd = directory.join("initrd");
        write_initramfs(&initrd, &compile(directory)?)?;
        let grange_vm::guest_system::BootWay::Kernel { arguments } = &launch.system.boot else {
            anyhow::bail!("guests of this kind boot from a disk");
        };
        let text = |path: &Path| path.display().to_string();
        let arguments = [
            "-nodefaults".to_owned(),
            "-no-user-config".to_owned(),
            "-no-reboot".to_owned(),
            "-display".to_owned(),
            "none".to_owned(),
            "-machine".to_owned(),
            launch.system.machine.clone(),
            "-accel".to_owned(),
            "tcg,thread=multi".to_owned(),
            "-cpu".to_owned(),
            launch.cpu.as_str().to_owned(),
            "-smp".to_owned(),
            format!("cpus={}", launch.cpu_count),
            "-m".to_owned(),
            format!("{}M", launch.memory_mib),
            "-kernel".to_owned(),
            text(kernel),
            "-initrd".to_owned(),
            text(&initrd),
            "-append".to_owned(),
            arguments.clone(),
            "-serial".to_owned(),
            "stdio".to_owned(),
        ];
        Ok(Self {
            program: plan.emulator.program.clone(),
            arguments: arguments.into(),
        })
    }

    /// How long it takes from starting QEMU until the line is read. Blocks.
    ///
    /// # Errors
    ///
    /// The line does not come within `limit`.
    pub fn boot(&self, limit: Duration) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let console = child.stdout.take().context("it was asked for")?;
        let read = wait_for_line(console, begun + limit);
        let took = begun.elapsed();
        child.kill()?;
        child.wait()?;
        read.map(|()| took)
    }
}

fn wait_for_line(console: std::process::ChildStdout, end: Instant) -> anyhow::Result<()> {
    let mut console = BufReader::new(console);
    let mut line = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left)?;
        let mut ready = [PollFd::new(console.get_ref(), PollFlags::IN)];
        if poll(&mut ready, Some(&left))? == 0 {
            anyhow::bail!("bare QEMU has not booted in time");
        }
        let bytes = console.fill_buf()?;
        anyhow::ensure!(!bytes.is_empty(), "bare QEMU has ended");
        line.extend_from_slice(bytes);
        let count = bytes.len();
        console.consume(count);
        if line.windows(LINE.len()).any(|part| part == LINE.as_bytes()) {
            return Ok(());
        }
    }
}

/// The first process, linked statically.
fn compile(directory: &Path) -> anyhow::Result<Vec<u8>> {
    let (source, program) = (directory.join("init.c"), directory.join("init"));
    std::fs::write(&source, INIT.replace("LINE", LINE))?;
    let mut command = Command::new("cc");
    command.args(["-static", "-Os", "-s", "-o"]);
    let compiled = command.arg(&program).arg(&source).status();
    let compiled = compiled.context("cannot run cc")?;
    anyhow::ensure!(compiled.success(), "cc cannot link statically");
    Ok(std::fs::read(program)?)
}

/// `/init` and `/dev/console`, as "newc" (`Documentation/driver-api/early-userspace/buffer-format.rst` of Linux).
fn write_initramfs(path: &Path, init: &[u8]) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    let entries: [(&str, u32, u32, &[u8]); 4] = [
        ("dev", 0o040_755, 0, b""),
        ("dev/console", 0o020_600, 0x0005_0001, b""),
        ("init", 0o100_755, 0, init),
        ("TRAILER!!!", 0, 0, b""),
    ];
    for (number, (name, mode, device, content)) in entries.into_iter().enumerate() {
        let mut entry = format!(
            "070701{number:08x}{mode:08x}{:016x}{:08x}{:08x}{:08x}{:016x}{:08x}{:08x}{:08x}{:08x}{name}\0",
            0,
            1,
            0,
            content.len(),
            0,
            device >> 16,
            device & 0xffff,
            name.len() + 1,
            0,
        )
        .into_bytes();
        entry.resize(entry.len().next_multiple_of(4), 0);
        entry.extend_from_slice(content);
        entry.resize(entry.len().next_multiple_of(4), 0);
        file.write_all(&entry)?;
    }
    Ok(())
}
