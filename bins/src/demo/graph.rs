//! What the demo builds.

use std::path::Path;
use std::sync::Arc;

use grange_coordinator::client::MemorySource;
use grange_derivation::StoreDir;
use grange_examples::demo::{self, DemoGraph, SourceContent, Toolchain};
use grange_interfaces::message::BuildRequest;
use grange_model::BuildId;
use uuid::Uuid;

/// The graph, and where its bytes come from.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) toolchain: Toolchain,
    pub(super) demo: DemoGraph,
    pub(super) source: Arc<MemorySource>,
}

/// Finds or fetches a toolchain, kept in the state directory, and writes the derivations.
pub(super) async fn write(state: &Path, store: &StoreDir) -> anyhow::Result<Graph> {
    let cache = state.join("toolchain");
    let store = store.clone();
    let work = move || -> anyhow::Result<(Toolchain, DemoGraph)> {
        let toolchain = Toolchain::find_or_fetch(&cache)?;
        let demo = demo::graph(&toolchain, &store)?;
        Ok((toolchain, demo))
    };
    let (toolchain, demo) = tokio::task::spawn_blocking(work).await??;
    let mut source = MemorySource::new();
    for derivation in &demo.derivations {
        source.add(derivation);
    }
    for (path, content) in &demo.sources {
        match content {
            SourceContent::Path(place) => source.add_path(path.clone(), place),
            SourceContent::Text(bytes) => source.add_file(path.clone(), bytes.clone(), false),
        };
    }
    Ok(Graph {
        toolchain,
        demo,
        source: Arc::new(source),
    })
}

impl Graph {
    /// A request for each derivation: so each has a build to be counted, also where nothing is to be built any more.
    pub(super) fn requests(&self) -> Vec<BuildRequest> {
        let request = |derivation: &grange_derivation::Instantiated| BuildRequest {
            id: BuildId(Uuid::now_v7()),
            derivation: derivation.path.to_string(),
            priority: 0,
            tags: [("demo".to_owned(), "yes".to_owned())].into(),
            requires: Default::default(),
            timeout_ms: Some(600_000),
            max_silent_ms: None,
            again: false,
            no_inputs: false,
            resources: grange_model::Resources::new(),
        };
        self.demo.derivations.iter().map(request).collect()
    }
}
