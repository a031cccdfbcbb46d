//! The coordinator's core, beside the model that is as plain as possible.

use grange_testing::reference::{Comparison, Script};

/// Any bytes are a farm and what happens to it; core and model must agree.
pub(crate) fn operations(bytes: &[u8]) {
    let script = Script::from_bytes(bytes);
    if let Err(mismatch) = Comparison::run(&script) {
        panic!("{mismatch}\n{script:?}");
    }
}
