//! The contracts, on real daemons.

use std::sync::Arc;

use grange_daemon_protocol::DaemonStore;
use grange_derivation::Dialect;
use grange_testing::Step;
use grange_testing::conformance::{BuilderBench, LocalStoreBench, Workshop, runs_here};

use crate::rig::farm;

/// A daemon, if there is one here.
struct Daemon(Dialect);

impl LocalStoreBench for Daemon {
    type Store = DaemonStore;

    async fn open(&self) -> Option<Arc<DaemonStore>> {
        farm(self.0).await.map(|farm| farm.store)
    }

    fn is_ours(&self) -> bool {
        false
    }
}

impl BuilderBench for Daemon {
    async fn open(&self) -> Option<Workshop> {
        let farm = Arc::new(farm(self.0).await?);
        let author = Arc::clone(&farm);
        Some(Workshop {
            builder: Arc::new(farm.builder.clone()),
            store: Arc::clone(&farm.store) as _,
            derivation: Box::new(move |name, steps| {
                let lines: Vec<_> = steps.iter().map(Step::shell).collect();
                author.shell(name, &lines.join("\n"))
            }),
            is_running: Box::new(runs_here),
            guard: Box::new(farm),
        })
    }
}

mod guix {
    mod store {
        use crate::conformance::{Daemon, Dialect};
        grange_testing::local_store_conformance!(Daemon(Dialect::Guix));
    }
    mod builder {
        use crate::conformance::{Daemon, Dialect};
        grange_testing::builder_conformance!(Daemon(Dialect::Guix));
    }
}

mod nix {
    mod store {
        use crate::conformance::{Daemon, Dialect};
        grange_testing::local_store_conformance!(Daemon(Dialect::Nix));
    }
    mod builder {
        use crate::conformance::{Daemon, Dialect};
        grange_testing::builder_conformance!(Daemon(Dialect::Nix));
    }
}
