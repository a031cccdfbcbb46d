//! AF_VSOCK. The host of these tests need not have it: a program in the guest connects to the guest itself, and what goes through that is this
//! end's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use grange_guest::client::{ClientError, Guest, Running};
use grange_guest::protocol::{ChannelSecret, Exec, Put, VsockAddress};
use grange_vm::home::{Home, ServeOptions};
use grange_vm_image::ImageStore;

use super::machines::forward;
use super::rig::rig;

/// A machine's own CID, within it: vsock(7).
const LOCAL: u32 = 1;
const HOST: u32 = 2;
const LIMIT: Duration = Duration::from_secs(180);
/// Connects to that port of CID 1, and passes everything on.
const BRIDGE: &str = r#"
socket(my $socket, 40, 1, 0) or die "socket: $!";
connect($socket, pack("S S L L x4", 40, 0, $ARGV[0], 1)) or die "connect: $!";
sub pass {
    my ($from, $to) = @_;
    while (sysread($from, my $bytes, 65536)) {
        my $at = 0;
        while ($at < length $bytes) {
            $at += syswrite($to, $bytes, length($bytes) - $at, $at) // exit;
        }
    }
}
my $child = fork // die;
if ($child) { pass($socket, *STDOUT); kill 9, $child } else { pass(*STDIN, $socket); shutdown($socket, 1) }
"#;

/// Loads the kernel module that lies there.
const LOAD: &str = r#"
open(my $file, "<", $ARGV[0]) or die "open: $!";
syscall(313, fileno($file), my $options = "", 0) == 0 or die "finit_module: $!";
"#;

/// Has the guest's kernel serve CID 1, which images have no module for. Why not, if it cannot be.
async fn load_loopback(guest: &Guest, packages: &Path) -> Result<(), String> {
    let release = &guest.welcome().kernel;
    let prefix = format!("linux-image-{release}_");
    let mut files = std::fs::read_dir(packages)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_it = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&prefix)
    };
    let package = files.find(is_it).ok_or("the kernel's package is gone")?;
    let module = format!("./lib/modules/{release}/kernel/net/vmw_vsock/vsock_loopback.ko");
    let script = "dpkg-deb --fsys-tarfile \"$1\" | tar -xO \"$2\"";
    let unpacked = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(package)
        .arg(&module)
        .output()
        .unwrap();
    if !unpacked.status.success() || unpacked.stdout.is_empty() {
        return Err(format!(
            "needs dpkg-deb, and {module} in the kernel's package"
        ));
    }
    let put = Put::of("/run/vsock_loopback.ko", &unpacked.stdout);
    guest.put(put, unpacked.stdout.as_slice()).await.unwrap();
    let exec = Exec::new("perl").args(["-e", LOAD, "/run/vsock_loopback.ko"]);
    let loaded = guest
        .run(exec)
        .await
        .unwrap()
        .output(1 << 10)
        .await
        .unwrap();
    assert!(loaded.exit.is_success(), "{loaded:?}");
    Ok(())
}

/// A conversation by AF_VSOCK, from CID 1, and the program that carries it.
async fn connect(
    guest: &Guest,
    port: u32,
    secret: &ChannelSecret,
) -> Result<(Guest, Running), ClientError> {
    let exec = Exec::new("perl").args(["-e", BRIDGE, &port.to_string()]);
    let mut bridge = guest.run(exec.with_stdin()).await?;
    let (stdout, stdin) = (bridge.stdout.take().unwrap(), bridge.stdin.take().unwrap());
    let stream = tokio::io::join(stdout, stdin);
    let address = VsockAddress { cid: LOCAL, port };
    let deadline = Instant::now() + LIMIT;
    let met = Guest::connect_proving(stream, address, secret, deadline).await;
    Ok((met?, bridge))
}

#[tokio::test]
async fn a_real_guest_serves_whoever_knows_the_secret_and_nobody_else() {
    let Some(rig) = rig() else { return };
    let machine = rig.create("vsock", &["--no-keys"]);
    let images = Arc::new(ImageStore::open(rig.home().join("images")).unwrap());
    let mut options = ServeOptions::new(images, vec!["/usr/bin".into()]);
    options.limit = LIMIT;
    let home = Home::open(rig.home()).unwrap();
    let home = home.machine(&machine.name.parse().unwrap()).unwrap();
    let lent = home.lend(&options).await.unwrap();
    let guest = lent.running.guest().unwrap();

    if let Err(why) = load_loopback(guest, &rig.home().join("images/packages")).await {
        println!("skipped: {why}");
        return;
    }

    let secret = ChannelSecret::new([7; 32]);
    let port = guest.listen(&secret, LOCAL).await.unwrap();
    let (first, _bridge) = connect(guest, port, &secret).await.unwrap();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 7) as u8).collect();
    let put = Put::of("/run/by-vsock", &bytes);
    first.put(put, bytes.as_slice()).await.unwrap();
    // Several conversations at once: neither ends what another has begun.
    let (second, _other) = connect(guest, port, &secret).await.unwrap();
    let mut fetched = Vec::new();
    second
        .get("/run/by-vsock", &mut fetched, 1 << 20)
        .await
        .unwrap();
    assert!(fetched == bytes, "other bytes came back");
    let ran = first.run(Exec::new("echo").arg("said")).await.unwrap();
    assert_eq!(ran.output(1 << 10).await.unwrap().stdout, b"said\n");

    let wrong = ChannelSecret::new([8; 32]);
    let refused = connect(guest, port, &wrong).await.unwrap_err();
    assert!(matches!(refused, ClientError::Eof), "{refused}");

    // Who knows it, but comes from elsewhere. Those that are there stay.
    assert_eq!(guest.listen(&secret, HOST).await.unwrap(), port);
    let refused = connect(guest, port, &secret).await.unwrap_err();
    assert!(matches!(refused, ClientError::Eof), "{refused}");
    first.ping().await.unwrap();

    // What was the secret is none any more.
    guest.listen(&wrong, LOCAL).await.unwrap();
    let refused = connect(guest, port, &secret).await.unwrap_err();
    assert!(matches!(refused, ClientError::Eof), "{refused}");
    connect(guest, port, &wrong).await.unwrap();
    lent.give_back().await.unwrap();
}

#[test]
fn a_machine_is_spoken_to_by_it_where_the_host_has_it() {
    let Some(rig) = rig() else { return };
    let machine = rig.create("by-vsock", &["--no-keys", "--forward", &forward()]);
    let started = rig.grange(&["start", &machine.name, "--channel", "vsock"]);
    if Path::new("/dev/vhost-vsock").exists() {
        started.expect(0);
        rig.grange(&["stop", &machine.name]).expect(0);
        return;
    }
    let told = started.expect(1).stderr;
    assert!(told.contains("/dev/vhost-vsock cannot be used"), "{told}");
    assert!(machine.emulators().is_empty());
}
