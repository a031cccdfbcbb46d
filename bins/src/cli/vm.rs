//! `grange vm`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use grange_model::AgentId;
use grange_vm::machine::{CpuModel, Forward, MachineName, VirtualDate};

use super::values::{KeyValue, parse_key_value};
use crate::durations::parse_duration;
use crate::sizes::parse_size;

/// `grange vm`.
#[derive(Debug, Args)]
pub struct VmArgs {
    /// Where machines and images are kept [default: /var/lib/grange-vm for root, else $XDG_STATE_HOME/grange/vm]
    #[arg(long, global = true, value_name = "DIR", env = "GRANGE_VM_DIR")]
    pub vm_dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: VmCommand,
}

/// What to do with virtual build machines.
#[derive(Debug, Subcommand)]
pub enum VmCommand {
    /// Describe a machine and make its keys; nothing is started
    Create(VmCreate),
    /// Start a machine, and wait until it answers
    Start(VmStart),
    /// Stop a machine
    #[command(after_help = "Example:\n  grange vm stop past")]
    Stop(VmName),
    /// Say what a machine is doing, what executes it, and what its processor lacks
    #[command(after_help = "Example:\n  grange vm status past")]
    Status(VmName),
    /// Look at the console of a machine that runs; Ctrl-] leaves it
    #[command(
        after_help = "Where the input ends, such as that of /dev/null, so does this, as soon as the console has said nothing for a second.\n\n\
        Example:\n  grange vm console past"
    )]
    Console(VmName),
    /// Get into a machine that runs by ssh
    Ssh(VmSsh),
    /// Remove a machine, its keys and its templates
    #[command(after_help = "Example:\n  grange vm destroy past")]
    Destroy(VmName),
    /// List machines
    #[command(after_help = "Example:\n  grange vm list")]
    List,
    /// Run a command in a clone of a machine, which is thrown away afterwards
    Run(VmRun),
    /// Have a clone of a machine build for a farm, until this is stopped
    Agent(VmAgent),
    /// Make, take in, list and remove what machines boot
    #[command(subcommand, after_help = "Example:\n  grange vm image build debian-12")]
    Image(ImageCommand),
}

/// A machine.
#[derive(Debug, Args)]
pub struct VmName {
    /// The machine
    pub name: MachineName,
}

/// `grange vm create`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange vm create past --date 2020-01-01 --cpu Westmere")]
pub struct VmCreate {
    /// What it shall be called
    pub name: MachineName,
    /// When it begins, each time it starts: 2020-01-01 or 2020-01-01T12:00:00, in UTC [default: 2020-01-01]
    #[arg(long)]
    pub date: Option<VirtualDate>,
    /// The processor, as QEMU calls it [default: the one that was new at the date]
    #[arg(long, value_name = "MODEL")]
    pub cpu: Option<CpuModel>,
    /// How many processors [default: 4]
    #[arg(long, value_name = "N")]
    pub cpu_count: Option<u32>,
    /// How much memory, in MiB [default: 2048]
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u64>,
    /// Have what is written in it go to a disk of this size, such as 10G, in place of memory; nothing of it is kept when the machine stops
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub disk_size: Option<u64>,
    /// A port of this host that leads into the guest: PORT:GUEST-PORT or ADDRESS:PORT:GUEST-PORT; may be given several times [default: 11022:22
    /// and 11044:1004, on 127.0.0.1]
    #[arg(long = "forward", value_name = "FORWARD")]
    pub forwards: Vec<Forward>,
    /// What it builds for; may be given several times [default: x86_64-linux]
    #[arg(long = "system", value_name = "S")]
    pub systems: Vec<String>,
    /// What it boots: a name, or the beginning of an id, of `grange vm image list` [default: debian-12]
    #[arg(long)]
    pub image: Option<String>,
    /// A kernel to boot in place of the image's
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// QEMU's program [default: qemu-system-x86_64, in PATH]
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Have `grange vm start --all` start it
    #[arg(long)]
    pub auto_start: bool,
    /// A public key of Guix from which the guest accepts what is imported; may be given several times [default:
    /// /etc/guix/signing-key.pub, if it is there]
    #[arg(long = "trust", value_name = "FILE")]
    pub trust: Vec<PathBuf>,
    /// A list of keys of Guix, such as /etc/guix/acl, that the guest's key is added to [default: none]
    #[arg(long, value_name = "FILE")]
    pub host_acl: Option<PathBuf>,
    /// Make no keys: the machine is reached by its channel alone
    #[arg(long, conflicts_with_all = ["trust", "host_acl"])]
    pub no_keys: bool,
}

/// How machines are started.
#[derive(Clone, Debug, Args)]
pub struct VmStarting {
    /// What executes the machine [default: KVM if a trial boot with it goes well, else TCG]
    #[arg(long, value_name = "A")]
    pub accelerator: Option<AcceleratorArg>,
    /// Let the guest reach others by this host's network
    #[arg(long)]
    pub network: bool,
    /// How long it may take until it answers
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = parse_duration)]
    pub limit: Duration,
}

/// What executes a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AcceleratorArg {
    /// The processor, by the kernel
    Kvm,
    /// QEMU's translator
    Tcg,
}

/// By what a machine is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChannelArg {
    /// A virtio-serial port: a socket of the machine's user
    Serial,
    /// AF_VSOCK, which takes /dev/vhost-vsock; the serial port carries its secret
    Vsock,
}

/// `grange vm start`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange vm start past")]
pub struct VmStart {
    /// The machine
    #[arg(required_unless_present = "all")]
    pub name: Option<MachineName>,
    /// All that were made with --auto-start
    #[arg(long, conflicts_with_all = ["name", "qemu_arguments"])]
    pub all: bool,
    /// Stay, until the machine ends or this is told to stop: for systemd and Shepherd
    #[arg(long, conflicts_with = "all")]
    pub foreground: bool,
    /// By what it is spoken to
    #[arg(long, value_enum, default_value = "serial")]
    pub channel: ChannelArg,
    /// How.
    #[command(flatten)]
    pub starting: VmStarting,
    /// Arguments that are added to QEMU's
    #[arg(last = true, value_name = "QEMU-ARGS")]
    pub qemu_arguments: Vec<OsString>,
}

/// `grange vm ssh`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange vm ssh past -- uname -a")]
pub struct VmSsh {
    /// The machine
    pub name: MachineName,
    /// As whom
    #[arg(long, default_value = "offloading")]
    pub user: String,
    /// What ssh is told after the host
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `grange vm run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: the command's; 128 and the signal's number if one ended it.\n\n\
    Example:\n  grange vm run past --put ./hello-2.10:/build/hello --directory /build/hello -- make check"
)]
pub struct VmRun {
    /// The machine
    pub name: MachineName,
    /// How.
    #[command(flatten)]
    pub starting: VmStarting,
    /// A file or directory of this host, and where the guest shall have it; may be given several times. Files of directories get
    /// the guest's date
    #[arg(long = "put", value_name = "HERE:THERE")]
    pub put: Vec<String>,
    /// A file or directory of the guest, and where it goes on this host when the command has ended, however it did; may be given
    /// several times
    #[arg(long = "get", value_name = "THERE:HERE")]
    pub get: Vec<String>,
    /// A variable of the command's environment; may be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse_key_value)]
    pub environment: Vec<KeyValue>,
    /// Where it runs
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub directory: String,
    /// As whom, of the guest's users [default: root]
    #[arg(long)]
    pub user: Option<String>,
    /// Another date than the machine's
    #[arg(long)]
    pub date: Option<VirtualDate>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `grange vm agent`.
#[derive(Debug, Args)]
#[command(
    after_help = "The agent offers date, cpu and kernel as tags. Those that the machine was made with explicitly, and the date, are \
    exclusive: only builds that require them come here.\n\n\
    Example:\n  grange vm agent past --coordinator https://farm.example.org:8745 \
    --uuid 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 --password-file ./past.password"
)]
pub struct VmAgent {
    /// The machine
    pub name: MachineName,
    /// How.
    #[command(flatten)]
    pub starting: VmStarting,
    /// The agent's UUID
    #[arg(long)]
    pub uuid: AgentId,
    /// A file whose first line is the agent's password
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
    /// What it offers besides; may be given several times
    #[arg(long = "tag", value_name = "K=V", value_parser = parse_key_value)]
    pub tags: Vec<KeyValue>,
    /// How many builds run at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub max_parallel_builds: u32,
    /// The program `grange-agent` for the guest [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub agent_program: Option<PathBuf>,
    /// Arguments that are added to those of the guest's grange-agent, such as --sandbox-path /usr
    #[arg(last = true, value_name = "AGENT-ARGS")]
    pub agent_arguments: Vec<String>,
}

/// `grange vm image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Make an image of Debian's packages, without root
    Build(ImageBuild),
    /// Take in a disk of others, by copy
    Import(ImageImport),
    /// List images
    #[command(after_help = "Example:\n  grange vm image list")]
    List,
    /// Remove images that have no name and that no machine boots
    #[command(after_help = "Example:\n  grange vm image prune --older-than 30d")]
    Prune {
        /// Only those that have been here for so long
        #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
        older_than: Duration,
    },
}

/// `grange vm image build`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange vm image build debian-12 --add-package nix-bin")]
pub struct ImageBuild {
    /// What it shall be called
    #[arg(default_value = "debian-12")]
    pub name: String,
    /// A recipe, in TOML [default: an ordinary build machine]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// A further package; may be given several times
    #[arg(long = "add-package", value_name = "PACKAGE")]
    pub packages: Vec<String>,
    /// The package of the kernel [default: linux-image-amd64]
    #[arg(long, value_name = "PACKAGE")]
    pub kernel: Option<String>,
    /// Fetch the lists of packages anew, and use those
    #[arg(long)]
    pub update: bool,
    /// The program `grange-guest`, static [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub guest_program: Option<PathBuf>,
}

/// `grange vm image import`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange vm image import ./disk.qcow2 --name guix")]
pub struct ImageImport {
    /// The disk: a qcow2 or raw image
    pub file: PathBuf,
    /// What it shall be called
    #[arg(long)]
    pub name: String,
    /// A kernel to boot; without, the disk boots by itself
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Its initramfs
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub initrd: Option<PathBuf>,
    /// What stands on its command line
    #[arg(long, value_name = "TEXT", requires = "kernel", default_value = "")]
    pub arguments: String,
}

/// `grange traps`.
#[derive(Debug, Args)]
pub struct TrapsArgs {
    /// A file with further traps; may be given several times
    #[arg(long = "file", global = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: TrapsCommand,
}

/// What to do with traps.
#[derive(Debug, Subcommand)]
pub enum TrapsCommand {
    /// List what is known to build no longer, and where it still does
    #[command(after_help = "Example:\n  grange traps list")]
    List,
    /// Say which derivations are in a trap, and in which environment they build
    #[command(
        after_help = "Exit status: 0 if none is, 1 if one is.\n\nExample:\n  grange traps check /gnu/store/*-openssl-1.1.1l.drv"
    )]
    Check {
        /// Derivations, called HASH-NAME.drv; what they depend on is looked at, too, as far as it is here
        #[arg(required = true, value_name = "DRV")]
        derivations: Vec<PathBuf>,
    },
}
