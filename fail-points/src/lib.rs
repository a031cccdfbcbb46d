//! Places in Grange's programs at which a test build can die.
//!
//! ```
//! use grange_fail_points::{Point, reach};
//!
//! // … the file is written …
//! reach(Point::ResultWritten);
//! // … and is given its name.
//! ```
//!
//! A build with the rustc flag `--cfg grange_fail_points` sends itself `SIGKILL` at the point that a file names
//! (`control`, which the program's `main` calls); so a process that runs is told where to die. Every other build has an
//! empty function in its place. It is no cargo feature: features are united across a workspace, and a program that
//! people run must not be able to do this.
//!
//! `docs/design/0010-fail-points.md` says why it is done so; `cargo xtask crash` kills at each of [`Point::ALL`].

#[cfg(grange_fail_points)]
mod armed;
mod point;

#[cfg(grange_fail_points)]
pub use armed::{control, reach};
pub use point::{Point, Victim};

/// The process is at this point. Only a test build dies there.
#[cfg(not(grange_fail_points))]
#[inline(always)]
pub const fn reach(_: Point) {}
