//! One program for all targets: `GRANGE_FUZZ` in the environment names the one that libFuzzer shall try. Without it the
//! program lists them: a line each, with what libFuzzer has to know. `cargo xtask fuzz` builds and runs it.

#![no_main]

use std::sync::OnceLock;

use grange_fuzz::{MAX_MEMORY, TARGETS, Target, target};
use libfuzzer_sys::fuzz_target;

static CHOSEN: OnceLock<&Target> = OnceLock::new();

fn choose() {
    let Ok(name) = std::env::var("GRANGE_FUZZ") else {
        for Target { name, max_len, .. } in TARGETS {
            let mebibytes = MAX_MEMORY >> 20;
            println!("{name} -max_len={max_len} -rss_limit_mb={mebibytes}");
        }
        std::process::exit(0);
    };
    let target = target(&name).unwrap_or_else(|| panic!("there is no target {name}"));
    CHOSEN.get_or_init(|| target);
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    let target = CHOSEN.get().expect("it was chosen at the start");
    (target.run)(bytes);
});
