//! One program for all targets: `GRANGE_FUZZ` in the environment names the one that libFuzzer shall try. `cargo xtask fuzz`
//! builds and runs it.

#![no_main]

use std::sync::OnceLock;

use grange_fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("GRANGE_FUZZ").expect("GRANGE_FUZZ names a target");
        target(&name).unwrap_or_else(|| panic!("there is no target {name}"))
    })
}

fuzz_target!(|bytes: &[u8]| (chosen().run)(bytes));
