//! The network that QEMU emulates for users: its addresses never change (QEMU's documentation, "Using the user mode network stack").

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::sys::Device;

const CARD: &str = "eth0";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const NAMES: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// Sets up the loopback device, and the card if there is one. A machine without network is told of, and used.
pub(super) fn set_up() {
    if let Err(error) = Device::new("lo").and_then(|mut device| device.up()) {
        eprintln!("grange-guest: cannot set up the loopback device: {error}");
    }
    if !Path::new("/sys/class/net").join(CARD).exists() {
        return;
    }
    if let Err(error) = card() {
        eprintln!("grange-guest: cannot set up {CARD}: {error}");
    }
}

fn card() -> io::Result<()> {
    let mut device = Device::new(CARD)?;
    device.address(ADDRESS, MASK)?;
    device.up()?;
    device.default_route(GATEWAY)?;
    fs::create_dir_all("/etc")?;
    // The image's own may be a link to where nothing is.
    if let Err(error) = fs::remove_file("/etc/resolv.conf")
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    fs::write("/etc/resolv.conf", format!("nameserver {NAMES}\n"))
}
