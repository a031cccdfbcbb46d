//! An agent's side: its core, and what a shell does around it.

mod calls;
mod effects;
mod life;
mod upload;

pub(crate) use life::{Agent, StepEnd};
