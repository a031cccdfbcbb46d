//! The canonical farm with one part swapped: the policy is one of one's own, under which nothing waits for ever
//! (`src/ageing.rs`), for which `grange_testing::policy_conformance!` passes (`tests/own/policy.rs`).
//!
//! It says:
//!
//! ```text
//! succeeded: hello
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
use grange::store_sqlite::{SqliteConfig, SqliteDatastore};
use grange::transport_http::{ClientConfig, HttpEndpoint, Server, ServerConfig};
use grange::{
    Agent, AgentConfig, Client, Coordinator, CoordinatorConfig, MissingInputs, Parts, SystemClock,
};
use grange_examples::ageing::{Ageing, SameRack};
use grange_examples::hello;

fn main() -> Result<(), Box<dyn Error>> {
    init_main(); // the sandbox runs this program again as its helper
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
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
            datastore: Arc::new(SqliteDatastore::open(
                dir.path().join("grange.db"),
                SqliteConfig::default(),
            )?),
            artifacts: Arc::new(ArtifactsDir::open(dir.path().join("artifacts"))?),
            clock: Arc::new(SystemClock),
            upstreams: grange::coordinator::Upstreams::default(),
            hooks: vec![Arc::new(MissingInputs::default())],
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
            builder: Arc::new(SandboxBuilder::new(Arc::clone(&store), sandbox).await?),
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

    stopper.stop();
    building.await??;
    serving.await?;
    coordinator.stop().await;
    Ok(())
}
