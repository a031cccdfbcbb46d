//! What tests against real daemons share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join;
use grange_daemon_protocol::{BuilderConfig, DaemonBuilder, DaemonConfig, DaemonStore, FarmKey};
use grange_derivation::{
    Builder as Author, Derivation, Dialect, Hash, Instantiated, StorePath, nar, paths,
};
use grange_interfaces::{
    BuildError, Builder, Built, ItemInfo, Job, LocalStore, Log, Stop, bytes_of,
};
use grange_model::{Limits, NarHash};
use grange_signatures::guix::SecretKey;

pub(crate) const LIMITS: Limits = Limits {
    timeout_ms: 300_000,
    max_silent_ms: 300_000,
};

/// A real daemon.
pub(crate) struct Farm {
    pub(crate) store: Arc<DaemonStore>,
    pub(crate) builder: DaemonBuilder,
    pub(crate) dialect: Dialect,
    pub(crate) busybox: StorePath,
    salt: String,
    drvs: Mutex<BTreeMap<StorePath, Arc<Derivation>>>,
}

/// What came of a build.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<Built, BuildError>,
    pub(crate) log: Vec<u8>,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn built(&self) -> &Built {
        match &self.result {
            Ok(built) => built,
            Err(error) => panic!("{error:?}; its log: {}", self.log.escape_ascii()),
        }
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &BuildError {
        self.result.as_ref().expect_err("it must not succeed")
    }
}

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Guix => "GRANGE_TEST_GUIX_SOCKET",
        Dialect::Nix => "GRANGE_TEST_NIX_SOCKET",
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).map(PathBuf::from);
    if value.is_none() {
        eprintln!("skipped: {name} is not set");
    }
    value
}

/// How the real daemon is reached; none where there is none.
pub(crate) fn config(dialect: Dialect) -> Option<DaemonConfig> {
    let mut config = DaemonConfig::new(variable(name(dialect))?, dialect.store_dir());
    if dialect == Dialect::Guix {
        let key = std::fs::read(variable("GRANGE_TEST_GUIX_KEY")?).unwrap();
        config.farm_key = Some(FarmKey::Guix(SecretKey::parse(&key).unwrap()));
    }
    Some(config)
}

/// A farm on a real daemon; none where there is none.
pub(crate) async fn farm(dialect: Dialect) -> Option<Farm> {
    farm_with(dialect, config(dialect)?).await
}

pub(crate) async fn farm_with(dialect: Dialect, config: DaemonConfig) -> Option<Farm> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/seeds");
    if !seeds.join("ready").exists() {
        eprintln!("skipped: no seeds, set up by xtask/seeds");
        return None;
    }
    let store = DaemonStore::connect(config).await.unwrap();
    let mut bytes = Vec::new();
    nar::pack(seeds.join("busybox"), &mut bytes).unwrap();
    let busybox = add_source(&store, "busybox", bytes).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Some(Farm {
        builder: DaemonBuilder::new(Arc::clone(&store), BuilderConfig::new()),
        store,
        dialect,
        busybox,
        salt: format!("{}-{}", std::process::id(), now.as_nanos()),
        drvs: Mutex::default(),
    })
}

pub(crate) async fn add_source(store: &DaemonStore, name: &str, nar: Vec<u8>) -> StorePath {
    let hash = Hash::sha256(&nar).to_sha256().unwrap();
    let path = paths::source_path(store.store_dir(), name, [], false, &hash).unwrap();
    let info = item(path, &nar, vec![]);
    store.import(&info, body(nar)).await.unwrap();
    info.path
}

pub(crate) fn item(path: StorePath, nar: &[u8], references: Vec<StorePath>) -> ItemInfo {
    ItemInfo {
        path,
        nar_hash: NarHash(Hash::sha256(nar).to_sha256().unwrap()),
        nar_size: nar.len() as u64,
        references,
        deriver: None,
    }
}

pub(crate) fn body(nar: Vec<u8>) -> grange_interfaces::Body {
    let pieces: Vec<_> = nar
        .chunks(50_000)
        .map(Bytes::copy_from_slice)
        .map(Ok)
        .collect();
    futures::stream::iter(pieces).boxed()
}

impl Farm {
    /// A derivation that runs a script in busybox's shell; another one each time the test runs.
    pub(crate) fn shell(&self, name: &str, script: &str) -> Author {
        let busybox = format!("{}/bin/busybox", self.busybox);
        let prelude = format!(
            "bb={busybox}\nfor t in sh cat date dd echo env expr head id ls mkdir mount nc seq sha256sum sleep sort tr true wc yes; \
             do eval \"$t() {{ $bb $t \\\"\\$@\\\"; }}\"; done\n"
        );
        Author::new(self.store.store_dir(), name, "x86_64-linux", busybox)
            .args(["sh", "-c"])
            .arg(format!("set -e\n{prelude}{script}\n"))
            .env("SALT", self.salt.clone())
            .source(self.busybox.clone())
    }

    /// Instantiates, and remembers it for those that need it.
    pub(crate) fn drv(&self, author: Author) -> Instantiated {
        let drv = author.instantiate().unwrap();
        self.remember(&drv.path, Arc::new(drv.derivation.clone()));
        drv
    }

    pub(crate) fn remember(&self, path: &StorePath, derivation: Arc<Derivation>) {
        self.drvs.lock().unwrap().insert(path.clone(), derivation);
    }

    pub(crate) fn recall(&self, path: &StorePath) -> Option<Arc<Derivation>> {
        self.drvs.lock().unwrap().get(path).cloned()
    }

    /// What an agent would say of it: inputs with all that they refer to, references first.
    pub(crate) async fn job(
        &self,
        path: &StorePath,
        derivation: &Arc<Derivation>,
        text: Vec<u8>,
    ) -> Job {
        let mut roots: Vec<_> = derivation.input_sources.iter().cloned().collect();
        for (path, outputs) in &derivation.input_derivations {
            let input = self.recall(path).expect("inputs are made first");
            let paths = outputs.iter().map(|it| input.outputs[it].path.clone());
            roots.extend(paths);
        }
        let mut known: BTreeMap<StorePath, Vec<StorePath>> = BTreeMap::new();
        let mut next = roots.clone();
        while !next.is_empty() {
            next.retain(|path| !known.contains_key(path));
            let found = self.store.query(&next).await.unwrap();
            let mut more = Vec::new();
            for (path, info) in next.into_iter().zip(found) {
                let references = info.map(|info| info.references).unwrap_or_default();
                more.extend(references.iter().cloned());
                known.insert(path, references);
            }
            next = more;
        }
        let inputs = grange_derivation::graph::topological(roots, |path| {
            let others = known[path].iter().filter(|it| *it != path).cloned();
            Ok::<_, std::convert::Infallible>(others.collect::<Vec<_>>())
        });
        Job {
            path: path.clone(),
            derivation: Arc::clone(derivation),
            text: text.into(),
            inputs: inputs.unwrap(),
            limits: LIMITS,
            cores: 0,
        }
    }

    pub(crate) async fn job_of(&self, drv: &Instantiated) -> Job {
        let derivation = Arc::new(drv.derivation.clone());
        self.job(&drv.path, &derivation, drv.text.clone()).await
    }

    /// Builds this one derivation, whose inputs must be there.
    pub(crate) async fn build(&self, drv: &Instantiated) -> Outcome {
        self.run(&self.job_of(drv).await, Stop::never()).await
    }

    pub(crate) async fn run(&self, job: &Job, stop: Stop) -> Outcome {
        run(&self.builder, job, stop).await
    }

    /// What an item, a file, consists of.
    pub(crate) async fn read(&self, path: &StorePath) -> Vec<u8> {
        let nar = self.nar(path).await;
        let entries = nar::list(&mut &nar[..]).unwrap();
        assert_eq!(entries.len(), 1, "{path} is no file");
        let length = u64::from_le_bytes(nar[88..96].try_into().unwrap());
        nar[96..96 + usize::try_from(length).unwrap()].to_vec()
    }

    pub(crate) async fn nar(&self, path: &StorePath) -> Vec<u8> {
        let nar = self.store.export(path).await.unwrap();
        bytes_of(nar, 1 << 30).await.unwrap().to_vec()
    }
}

pub(crate) async fn run(builder: &DaemonBuilder, job: &Job, stop: Stop) -> Outcome {
    let (log, mut receiver) = Log::new(16);
    let read = async {
        let mut all = Vec::new();
        while let Some(piece) = receiver.next().await {
            all.extend_from_slice(&piece);
        }
        all
    };
    let (result, log) = join(builder.build(job, log, stop), read).await;
    Outcome { result, log }
}

/// The output `out`.
pub(crate) trait FirstOutput {
    fn out(&self) -> &StorePath;
}

impl FirstOutput for Instantiated {
    fn out(&self) -> &StorePath {
        self.output("out").expect("it has one")
    }
}
