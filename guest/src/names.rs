//! Names that host and guest have to agree upon.

/// The serial port that a host asks on: the `name` of QEMU's `virtserialport`.
pub const CONTROL_PORT: &str = "org.grange.control";

/// The serial port that connections of an agent in the guest go through.
pub const RELAY_PORT: &str = "org.grange.agent";
