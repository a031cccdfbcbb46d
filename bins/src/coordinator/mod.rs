//! `grange-coordinator`.

mod admin;
mod cli;
mod file;
mod main_program;
mod publish;
mod serve;
mod settings;

pub use admin::{Token, read_tokens};
pub use cli::{Cli, CoordinatorCommand, Flags};
pub use file::ConfigFile;
pub(crate) use file::one_line as toml_error;
pub use main_program::main;
pub use publish::Publish;
pub(crate) use serve::tell_manager;
pub(crate) use settings::make_parent;
pub use settings::{Settings, open_datastore};
