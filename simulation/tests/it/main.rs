//! Simulated farms.

#![cfg_attr(
    grange_bugs,
    expect(
        clippy::disallowed_methods,
        reason = "the time that it takes is printed"
    )
)]

#[cfg(grange_bugs)]
mod bugs;
mod farms;
