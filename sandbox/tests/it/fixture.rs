//! A store, a builder, and derivations that run a shell script.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join;
use grange_derivation::{
    Builder as Author, Dialect, Instantiated, StoreDir, StorePath, nar, paths,
};
use grange_interfaces::{BuildError, Builder, Built, ItemInfo, Job, LocalStore, Log, Stop};
use grange_model::{Limits, NarHash};
use grange_sandbox::{Helper, SandboxBuilder, SandboxConfig, SandboxStore, StoreConfig};

/// Long enough for everything here.
pub(crate) const LIMITS: Limits = Limits {
    timeout_ms: 600_000,
    max_silent_ms: 600_000,
};

pub(crate) struct Farm {
    pub store: Arc<SandboxStore>,
    pub builder: SandboxBuilder,
    pub dialect: Dialect,
    pub busybox: StorePath,
    pub cores: u32,
    drvs: std::sync::Mutex<HashMap<StorePath, Instantiated>>,
    pub directory: Directory,
}

/// A temporary directory that goes with all that is in it, read-only directories included.
pub(crate) struct Directory(tempfile::TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        make_writable(self.path());
    }
}

/// Who is not root cannot empty a read-only directory.
pub(crate) fn make_writable(directory: &Path) {
    Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(directory)
        .status()
        .unwrap();
}

/// What came of a build.
pub(crate) struct Outcome {
    pub result: Result<Built, BuildError>,
    pub log: Vec<u8>,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn built(&self) -> &Built {
        match &self.result {
            Ok(built) => built,
            Err(error) => panic!("{error:?}; its log: {}", String::from_utf8_lossy(&self.log)),
        }
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &BuildError {
        self.result.as_ref().expect_err("it must not succeed")
    }
}

pub(crate) fn helper() -> Helper {
    Helper::Program(env!("CARGO_BIN_EXE_grange-sandbox-init").into())
}

/// Where `xtask/seeds` puts what builds start from; none if it was not run.
pub(crate) fn seeds() -> Option<PathBuf> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/seeds");
    seeds.join("ready").exists().then_some(seeds)
}

/// A farm with a configuration of its own; none, and a line that says so, where this machine has no seeds or no namespaces.
pub(crate) async fn farm_with(
    dialect: Dialect,
    change: impl FnOnce(&mut SandboxConfig),
) -> Option<Farm> {
    let Some(seeds) = seeds() else {
        eprintln!("skipped: no seeds, set up by xtask/seeds");
        return None;
    };
    let directory = Directory::new();
    let store = StoreConfig::new(directory.path().join("store"), dialect.store_dir());
    let store = Arc::new(SandboxStore::open(store).unwrap());
    let mut config = SandboxConfig::default();
    config.helper = helper();
    change(&mut config);
    let builder = match SandboxBuilder::new(Arc::clone(&store), config).await {
        Ok(builder) => builder,
        Err(error) => {
            eprintln!("skipped: {error}");
            return None;
        }
    };
    let busybox = add_source(&store, "busybox", &seeds.join("busybox")).await;
    let drvs = std::sync::Mutex::default();
    Some(Farm {
        store,
        builder,
        dialect,
        busybox,
        cores: 0,
        drvs,
        directory,
    })
}

pub(crate) async fn farm(dialect: Dialect) -> Option<Farm> {
    farm_with(dialect, |_| {}).await
}

/// Puts files of this machine into the store.
pub(crate) async fn add_source(store: &SandboxStore, name: &str, path: &Path) -> StorePath {
    let mut bytes = Vec::new();
    nar::pack(path, &mut bytes).unwrap();
    add_nar(store, name, bytes).await
}

pub(crate) async fn add_nar(store: &SandboxStore, name: &str, nar: Vec<u8>) -> StorePath {
    let sha256 = grange_derivation::Hash::sha256(&nar).to_sha256().unwrap();
    let path = paths::source_path(store.store_dir(), name, [], false, &sha256).unwrap();
    let info = ItemInfo {
        path: path.clone(),
        nar_hash: NarHash(sha256),
        nar_size: nar.len() as u64,
        references: vec![],
        deriver: None,
    };
    store
        .import(&info, futures::stream::iter([Ok(Bytes::from(nar))]).boxed())
        .await
        .unwrap();
    path
}

impl Farm {
    pub(crate) fn store_dir(&self) -> StoreDir {
        self.dialect.store_dir()
    }

    /// The C compiler; none if there is none among the seeds.
    pub(crate) async fn tcc(&self) -> Option<StorePath> {
        let tcc = seeds()?.join("tcc");
        if tcc.is_dir() {
            Some(add_source(&self.store, "tcc", &tcc).await)
        } else {
            None
        }
    }

    /// A derivation that runs a script in busybox's shell, as `shared/guix/derivations.scm` makes them.
    pub(crate) fn shell(&self, name: &str, script: &str) -> Author {
        let busybox = format!("{}/bin/busybox", self.busybox);
        let prelude = format!(
            "bb={busybox}\nfor t in sh cat date dd echo env expr head id ls mkdir mount nc seq sha256sum sleep sort tr true wc yes; \
             do eval \"$t() {{ $bb $t \\\"\\$@\\\"; }}\"; done\n"
        );
        Author::new(&self.store_dir(), name, "x86_64-linux", busybox)
            .args(["sh", "-c"])
            .arg(format!("set -e\n{prelude}{script}\n"))
            .source(self.busybox.clone())
    }

    /// Instantiates, and remembers it for those that need it.
    pub(crate) fn drv(&self, author: Author) -> Instantiated {
        let drv = author.instantiate().unwrap();
        self.drvs
            .lock()
            .unwrap()
            .insert(drv.path.clone(), drv.clone());
        drv
    }

    pub(crate) fn job(&self, drv: &Instantiated) -> Job {
        let mut roots: Vec<_> = drv.derivation.input_sources.iter().cloned().collect();
        for (path, outputs) in &drv.derivation.input_derivations {
            let input = self.drvs.lock().unwrap()[path].clone();
            roots.extend(
                outputs
                    .iter()
                    .map(|output| input.derivation.outputs[output].path.clone()),
            );
        }
        let inputs = grange_derivation::graph::topological(roots, |path| {
            let references = self
                .store
                .info(path)
                .map(|info| info.references)
                .unwrap_or_default();
            Ok::<_, std::convert::Infallible>(
                references
                    .into_iter()
                    .filter(|it| it != path)
                    .collect::<Vec<_>>(),
            )
        });
        Job {
            path: drv.path.clone(),
            derivation: Arc::new(drv.derivation.clone()),
            text: drv.text.clone().into(),
            inputs: inputs.unwrap(),
            limits: LIMITS,
            cores: self.cores,
        }
    }

    /// Builds this one derivation, whose inputs must be there.
    pub(crate) async fn build(&self, drv: &Instantiated) -> Outcome {
        self.run(&self.job(drv), Stop::never()).await
    }

    pub(crate) async fn run(&self, job: &Job, stop: Stop) -> Outcome {
        let (log, mut receiver) = Log::new(16);
        let read = async {
            let mut all = Vec::new();
            while let Some(piece) = receiver.next().await {
                all.extend_from_slice(&piece);
            }
            all
        };
        let (result, log) = join(self.builder.build(job, log, stop), read).await;
        Outcome { result, log }
    }

    /// Builds a derivation after all that it needs.
    pub(crate) async fn build_all(&self, drv: &Instantiated) -> Outcome {
        let order = grange_derivation::graph::topological([drv.path.clone()], |path| {
            let drv = self.drvs.lock().unwrap()[path].clone();
            Ok::<_, std::convert::Infallible>(
                drv.derivation
                    .input_derivations
                    .into_keys()
                    .collect::<Vec<_>>(),
            )
        });
        let mut order = order.unwrap();
        order.pop();
        for path in order {
            let input = self.drvs.lock().unwrap()[&path].clone();
            if self.store.info(input.output_or_first()).is_none() {
                self.build(&input).await.built();
            }
        }
        self.build(drv).await
    }

    /// What an output holds, if it is a file.
    #[track_caller]
    pub(crate) fn read(&self, path: &StorePath) -> String {
        String::from_utf8(std::fs::read(self.store.real_path(path).expect("it is valid")).unwrap())
            .unwrap()
    }
}

pub(crate) trait FirstOutput {
    fn output_or_first(&self) -> &StorePath;
    fn out(&self) -> &StorePath {
        self.output_or_first()
    }
}

impl FirstOutput for Instantiated {
    fn output_or_first(&self) -> &StorePath {
        self.output("out")
            .unwrap_or_else(|| self.outputs().next().unwrap().1)
    }
}

/// Runs a test for both dialects.
#[macro_export]
macro_rules! for_both_dialects {
    ($(async fn $name:ident($farm:ident) $body:block)*) => {
        mod guix {
            #[allow(unused_imports, reason = "each module has tests of its own")]
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let Some($farm) = $crate::fixture::farm(grange_derivation::Dialect::Guix).await else { return };
                $body
            })*
        }
        mod nix {
            #[allow(unused_imports, reason = "each module has tests of its own")]
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let Some($farm) = $crate::fixture::farm(grange_derivation::Dialect::Nix).await else { return };
                $body
            })*
        }
    };
}
