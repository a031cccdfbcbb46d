//! A farm whose parts are of one's own: its state in an append-only file, a hook that calls the pager, a policy under which
//! nothing waits for ever, and an agent whose builder needs licences. Each is proven by its suite (`tests/own`).
//!
//! It says:
//!
//! ```text
//! succeeded: hello
//! failed: the pager says: …
//! ```

#![expect(clippy::print_stdout, reason = "a program says what it did")]

use std::error::Error;
use std::sync::Arc;

use grange::artifacts_dir::ArtifactsDir;
use grange::coordinator::Policy;
use grange::derivation::StoreDir;
use grange::interfaces::{Claim, Peer, Stop};
use grange::model::AgentId;
use grange::sandbox::{SandboxBuilder, SandboxConfig, SandboxStore, StoreConfig, init_main};
use grange::transport_http::{ClientConfig, HttpEndpoint, Server, ServerConfig};
use grange::{
    Agent, AgentConfig, Client, Coordinator, CoordinatorConfig, MissingInputs, Parts, SystemClock,
};
use grange_examples::ageing::{Ageing, SameRack};
use grange_examples::append_log::AppendLog;
use grange_examples::hello;
use grange_examples::licensed::Licensed;
use grange_examples::pager::Pager;
use tokio::sync::mpsc::unbounded_channel;

fn main() -> Result<(), Box<dyn Error>> {
    init_main(); // the sandbox runs this program again as its helper
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (pages, mut pager) = unbounded_channel();
    let coordinator = Coordinator::start(
        CoordinatorConfig {
            policy: Policy {
                order: vec![Arc::new(Ageing)],
                placement: Some(Arc::new(SameRack)),
                ..Policy::default()
            },
            ..CoordinatorConfig::default()
        },
        Parts {
            datastore: Arc::new(AppendLog::open(dir.path().join("farm.log"))?),
            artifacts: Arc::new(ArtifactsDir::open(dir.path().join("artifacts"))?),
            clock: Arc::new(SystemClock),
            upstreams: grange::coordinator::Upstreams::default(),
            hooks: vec![
                Arc::new(MissingInputs::default()),
                Arc::new(Pager { pages }),
            ],
            seed: rand::random(),
            claim: Claim::Exclusive,
        },
    )
    .await?;
    let server = Server::bind("127.0.0.1:0".parse()?, ServerConfig::default()).await?;
    let url = format!("http://{}", server.local_addr()).parse()?;
    let (mut stopper, stop) = Stop::new();
    let serving = tokio::spawn(server.serve(coordinator.endpoint(), stop.clone()));

    let client = Client::new(coordinator.endpoint(), Peer::Local);
    let id = AgentId(uuid::Uuid::now_v7());
    client.new_agent(id, "builder").await?;
    let password = client.new_password(id).await?;

    let store = Arc::new(SandboxStore::open(StoreConfig::new(
        dir.path().join("store"),
        StoreDir::guix(),
    ))?);
    let mut sandbox = SandboxConfig::default();
    sandbox.sandbox_paths = hello::host_paths();
    let agent = Agent::new(
        AgentConfig::new(id, password, dir.path().join("agent")),
        grange::agent::Parts {
            endpoint: Arc::new(HttpEndpoint::connect(url, ClientConfig::default())?),
            builder: Arc::new(Licensed::new(
                SandboxBuilder::new(Arc::clone(&store), sandbox).await?,
                2,
            )),
            store,
            upstream: None,
            clock: Arc::new(SystemClock),
            seed: rand::random(),
        },
    )?;
    let building = tokio::spawn(async move { agent.run(stop).await });

    let place = dir.path().join("hello");
    let state = hello::build_and_fetch(&client, &place).await?;
    println!(
        "{}: {}",
        state.as_str(),
        std::fs::read_to_string(place)?.trim()
    );
    let state = hello::build(&client, &hello::failure()?, 200).await?;
    let page = pager.recv().await.ok_or("the pager is gone")?;
    println!("{}: the pager says: {page}", state.as_str());

    stopper.stop();
    building.await??;
    serving.await?;
    coordinator.stop().await;
    Ok(())
}
