//! `grange vm`.

mod agent;
mod console;
mod files;
mod image;
mod lines;
mod machines;
mod options;
mod run;
mod start;

use anyhow::Context as _;
use grange_vm::home::Home;

use crate::cli::{VmArgs, VmCommand};
use crate::connect;
use crate::failure::Exit;
use crate::output::Output;
use crate::{cli::Global, places};

pub(super) async fn run(global: &Global, args: VmArgs, output: Output) -> anyhow::Result<Exit> {
    let directory = args.vm_dir.unwrap_or_else(places::vm_state);
    let home = Home::open(&directory)
        .with_context(|| format!("cannot keep machines in {}", directory.display()))?;
    match args.command {
        VmCommand::Create(args) => machines::create(&home, args, output),
        VmCommand::List => machines::list(&home, output),
        VmCommand::Status(args) => machines::status(&home, &args.name, output),
        VmCommand::Destroy(args) => machines::destroy(&home, &args.name).await,
        VmCommand::Ssh(args) => machines::ssh(&home, args),
        VmCommand::Start(args) => start::start(&home, &directory, args, output).await,
        VmCommand::Stop(args) => start::stop(&home, &args.name).await,
        VmCommand::Console(args) => console::attach(&home, &args.name).await,
        VmCommand::Run(args) => run::run(&home, &directory, args).await,
        VmCommand::Image(command) => image::run(&home, &directory, command, output).await,
        VmCommand::Agent(args) => {
            let url = global.coordinator.as_deref();
            let url = url.ok_or_else(|| crate::failure::usage("--coordinator must be given"))?;
            let url = connect::parse_url(url)?;
            agent::run(&home, &directory, url, global.ca.as_deref(), args).await
        }
    }
}
