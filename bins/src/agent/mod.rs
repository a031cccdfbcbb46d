//! `grange-agent`.

mod cli;
mod file;
mod main_program;
mod serve;
mod settings;

pub use cli::{BuilderKind, Cli, Flags};
pub use file::ConfigFile;
pub use main_program::main;
pub(crate) use serve::assemble;
pub use settings::{BuilderSettings, Settings};
