//! What runs in a virtual build machine.

fn main() {}
