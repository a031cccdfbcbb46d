//! Virtual build machines: real QEMU, real kernels. They need root or not alike; `cargo xtask verify --install` gets QEMU, builds the guest
//! program, and the first of these tests makes the image of Debian packages, in `target/vm`.

mod farm;
mod machines;
mod offload;
mod rig;
mod traps;
mod vsock;
