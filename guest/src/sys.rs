//! System calls that have no safe wrapper. The only module of this crate with `unsafe` in it.
#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketAddrAny};

use crate::protocol::{Exit, MAX_SEED, VsockAddress};

/// `_IOW('R', 0x03, int[2])` of linux/random.h.
const RNDADDENTROPY: libc::Ioctl = 0x4008_5203;
/// `_IO('R', 0x07)` of linux/random.h.
const RNDRESEEDCRNG: libc::Ioctl = 0x5207;

/// `_IOW('p', 0x0a, struct rtc_time)` of linux/rtc.h.
const RTC_SET_TIME: libc::Ioctl = 0x4024_700a;

/// Waits until some child has ended, and leaves it as it is.
pub(crate) fn next_child() -> io::Result<u32> {
    wait(libc::P_ALL, 0, libc::WNOWAIT).map(|(pid, _)| pid)
}

/// Takes away what is left of a child that has ended. Fails if it has not, or is no child.
pub(crate) fn reap(pid: u32) -> io::Result<Exit> {
    match wait(libc::P_PID, pid, libc::WNOHANG)? {
        (0, _) => Err(io::ErrorKind::WouldBlock.into()),
        (_, exit) => Ok(exit),
    }
}

fn wait(what: libc::idtype_t, pid: u32, flags: i32) -> io::Result<(u32, Exit)> {
    // SAFETY: all bytes of the struct may be zero, and the call fills it.
    let (result, info) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let result = libc::waitid(what, pid, &raw mut info, libc::WEXITED | flags);
        (result, info)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: waitid fills in the part about children, or leaves zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let exit = if info.si_code == libc::CLD_EXITED {
        Exit::Code(status)
    } else {
        Exit::Signal(status)
    };
    Ok((pid.cast_unsigned(), exit))
}

/// Mixes bytes into the kernel's random numbers, and has it draw a new key for them now: random(4).
pub(crate) fn add_entropy(random: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    #[repr(C)]
    struct PoolInfo {
        entropy_count: libc::c_int,
        buf_size: libc::c_int,
        buf: [u8; MAX_SEED],
    }
    let mut info = PoolInfo {
        entropy_count: 0,
        buf_size: 0,
        buf: [0; MAX_SEED],
    };
    let Some(buf) = info.buf.get_mut(..bytes.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    buf.copy_from_slice(bytes);
    info.buf_size = i32::try_from(bytes.len()).map_err(io::Error::other)?;
    info.entropy_count = info.buf_size * 8;
    // SAFETY: the struct is laid out as random(4) says, and holds as many bytes as it says.
    let added = unsafe { libc::ioctl(random.as_raw_fd(), RNDADDENTROPY, &raw const info) };
    if added != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes no argument.
    let seeded = unsafe { libc::ioctl(random.as_raw_fd(), RNDRESEEDCRNG) };
    if seeded != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sets a machine's own clock to so many seconds since 1970, UTC: rtc(4).
pub(crate) fn set_hardware_clock(clock: BorrowedFd<'_>, unix_seconds: i64) -> io::Result<()> {
    // SAFETY: all zeros is a valid `tm`, and the call only fills it. What the kernel reads of it then, a `rtc_time`, are its first nine
    // numbers.
    let set = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        if libc::gmtime_r(&raw const unix_seconds, &raw mut time).is_null() {
            return Err(io::Error::last_os_error());
        }
        libc::ioctl(clock.as_raw_fd(), RTC_SET_TIME, &raw const time)
    };
    check(set)
}

/// An address of AF_VSOCK, as the kernel takes it: vsock(7).
pub(crate) fn vsock(address: VsockAddress) -> SocketAddrAny {
    // SAFETY: all zeros is a valid `sockaddr_vm`.
    let mut out: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    out.svm_family = u16::try_from(libc::AF_VSOCK).unwrap_or_default();
    (out.svm_cid, out.svm_port) = (address.cid, address.port);
    let length = u32::try_from(size_of_val(&out)).unwrap_or_default();
    // SAFETY: it points at an address of that many bytes, all of them set.
    unsafe { SocketAddrAny::read((&raw const out).cast(), length) }
}

/// The other way round. None if it is of another family.
pub(crate) fn vsock_address(address: &SocketAddrAny) -> Option<VsockAddress> {
    let whole = usize::try_from(address.addr_len()).ok()? >= size_of::<libc::sockaddr_vm>();
    if address.address_family() != AddressFamily::VSOCK || !whole {
        return None;
    }
    // SAFETY: it is an address of that family, with all its bytes. Where it lies need not be aligned for that type.
    let found = unsafe {
        address
            .as_ptr()
            .cast::<libc::sockaddr_vm>()
            .read_unaligned()
    };
    Some(VsockAddress {
        cid: found.svm_cid,
        port: found.svm_port,
    })
}

/// Gives the guest that `device`, an open `/dev/vhost-vsock`, is for its CID, as QEMU does: linux/vhost.h. Fails with `EADDRINUSE` if another has it.
#[cfg(feature = "client")]
pub(crate) fn claim_cid(device: BorrowedFd<'_>, cid: u32) -> io::Result<()> {
    /// `_IOW(VHOST_VIRTIO, 0x60, __u64)`.
    const VHOST_VSOCK_SET_GUEST_CID: libc::Ioctl = 0x4008_af60;
    let cid = u64::from(cid);
    // SAFETY: the call reads eight bytes, which are there.
    check(unsafe {
        libc::ioctl(
            device.as_raw_fd(),
            VHOST_VSOCK_SET_GUEST_CID,
            &raw const cid,
        )
    })
}

/// A network device, to be set up: netdevice(7).
pub(crate) struct Device {
    socket: OwnedFd,
    request: libc::ifreq,
}

impl Device {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let socket =
            rustix::net::socket(AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
        // SAFETY: all zeros is a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let last = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name[..last].iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        Ok(Self { socket, request })
    }

    pub(crate) fn up(&mut self) -> io::Result<()> {
        let flags = libc::IFF_UP | libc::IFF_RUNNING;
        self.request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(io::Error::other)?;
        self.set(libc::SIOCSIFFLAGS)
    }

    pub(crate) fn address(&mut self, address: Ipv4Addr, mask: Ipv4Addr) -> io::Result<()> {
        self.request.ifr_ifru.ifru_addr = sockaddr(address);
        self.set(libc::SIOCSIFADDR)?;
        self.request.ifr_ifru.ifru_netmask = sockaddr(mask);
        self.set(libc::SIOCSIFNETMASK)
    }

    /// Sends what goes nowhere else to `gateway`.
    pub(crate) fn default_route(&mut self, gateway: Ipv4Addr) -> io::Result<()> {
        // SAFETY: all zeros is a valid `rtentry`.
        let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
        route.rt_dst = sockaddr(Ipv4Addr::UNSPECIFIED);
        route.rt_genmask = sockaddr(Ipv4Addr::UNSPECIFIED);
        route.rt_gateway = sockaddr(gateway);
        route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
        let socket = self.socket.as_fd().as_raw_fd();
        // SAFETY: the route has what this call reads; it names no device.
        check(unsafe { libc::ioctl(socket, libc::SIOCADDRT, &raw const route) })
    }

    fn set(&self, what: libc::Ioctl) -> io::Result<()> {
        let socket = self.socket.as_fd().as_raw_fd();
        // SAFETY: the request has a name, and in the union what these calls read.
        check(unsafe { libc::ioctl(socket, what, &raw const self.request) })
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// An address as the kernel takes it: `sockaddr_in`, in the bytes of a `sockaddr`.
fn sockaddr(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: all zeros is a valid `sockaddr`.
    let mut out: libc::sockaddr = unsafe { std::mem::zeroed() };
    out.sa_family = u16::try_from(libc::AF_INET).unwrap_or_default();
    // Behind the port, which is two bytes.
    for (to, from) in out.sa_data[2..].iter_mut().zip(address.octets()) {
        *to = from.cast_signed();
    }
    out
}
