//! The builder.

use std::sync::Arc;

use async_trait::async_trait;
use grange_derivation::{Derivation, Dialect, Options};
use grange_interfaces::{
    BuildError, Builder, Built, Job, LocalStoreError, Log, MadeOutput, Offers, Stop,
};
use grange_model::{Digest, FailureKind, SetupProblem};

use crate::attempt::Attempt;
use crate::config::SandboxConfig;
use crate::output::{Finished, failed};
use crate::store::{Hold, SandboxStore};
use crate::support::{NotSupported, check_support};
use crate::users::Users;

/// Builds in Linux namespaces, into a [`SandboxStore`].
#[derive(Clone, Debug)]
pub struct SandboxBuilder {
    pub(crate) shared: Arc<Shared>,
}

/// What builds share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub store: Arc<SandboxStore>,
    pub config: SandboxConfig,
    pub users: Arc<Users>,
}

impl SandboxBuilder {
    /// A builder, where this machine allows one.
    ///
    /// # Errors
    ///
    /// [`NotSupported`], with what is missing and who can mend it.
    pub async fn new(
        store: Arc<SandboxStore>,
        config: SandboxConfig,
    ) -> Result<Self, NotSupported> {
        check_support(&config.helper).await?;
        let users = Arc::new(Users::new(config.first_build_uid, config.build_uids));
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                config,
                users,
            }),
        })
    }

    /// The store that it builds into.
    #[must_use]
    pub fn store(&self) -> &Arc<SandboxStore> {
        &self.shared.store
    }
}

#[async_trait]
impl Builder for SandboxBuilder {
    fn offers(&self) -> Offers {
        let config = &self.shared.config;
        let max_parallel_builds = crate::machine::is_root().then_some(config.build_uids);
        Offers {
            systems: config.systems.clone(),
            features: config.features.clone(),
            max_parallel_builds,
            derivations: false,
        }
    }

    async fn build(&self, job: &Job, log: Log, stop: Stop) -> Result<Built, BuildError> {
        if stop.is_stopped() {
            return Err(BuildError::Stopped);
        }
        let options = job
            .derivation
            .options()
            .map_err(|error| failed(FailureKind::Other, error.to_string()))?;
        self.shared.check(job, &options)?;
        let hold = self.shared.hold(job)?;
        let dialect = Dialect::of(&job.derivation.store);
        let attempt = Attempt {
            shared: &self.shared,
            job,
            options: &options,
            dialect,
        };
        let finished = attempt.run(log, &stop).await?;
        crate::references::check(
            &job.derivation,
            dialect,
            &options,
            &finished.outputs,
            &self.shared.store,
        )?;
        let outputs = self.shared.register(finished.outputs).await;
        finished.guard.remove().await;
        drop(hold);
        Ok(Built {
            outputs: outputs?,
            peak_memory: finished.peak_memory,
        })
    }
}

impl Shared {
    /// Whether this builder builds that derivation at all.
    fn check(&self, job: &Job, options: &Options<'_>) -> Result<(), BuildError> {
        let derivation: &Derivation = &job.derivation;
        let refuse = |message: String| {
            Err(BuildError::Setup {
                problem: SetupProblem::Unsupported,
                message,
            })
        };
        if derivation.store != *grange_interfaces::LocalStore::store_dir(&*self.store) {
            return refuse(format!(
                "the derivation is for the store {}, not for this one",
                derivation.store
            ));
        }
        let system = String::from_utf8_lossy(&derivation.system);
        if !self.config.systems.iter().any(|offered| *offered == system) {
            return refuse(format!(
                "it needs a {system} machine; this one builds for {}",
                self.config.systems.join(", ")
            ));
        }
        let offered = |feature: &&&[u8]| {
            self.config
                .features
                .iter()
                .any(|it| it.as_bytes() == **feature)
        };
        if let Some(feature) = options
            .required_system_features
            .iter()
            .find(|feature| !offered(feature))
        {
            return refuse(format!(
                "it needs the feature {}, which is not offered here",
                feature.escape_ascii()
            ));
        }
        if options.structured_attrs {
            return refuse(
                "it has structured attributes (__structuredAttrs), which the sandbox does not know"
                    .to_owned(),
            );
        }
        if options.no_chroot {
            return refuse("it asks to be built outside of the sandbox (__noChroot)".to_owned());
        }
        Ok(())
    }

    /// Keeps inputs valid, and sees that outputs are not.
    fn hold(&self, job: &Job) -> Result<Hold, BuildError> {
        let hold = self.store.hold(&job.inputs).map_err(|missing| {
            let names: Vec<_> = missing.0.iter().map(ToString::to_string).collect();
            let digests = missing
                .0
                .iter()
                .map(|path| Digest(*path.digest()))
                .collect();
            let message = format!("inputs are not valid here: {}", names.join(", "));
            BuildError::Setup {
                problem: SetupProblem::MissingInputs(digests),
                message,
            }
        })?;
        match job
            .derivation
            .outputs
            .values()
            .find(|output| self.store.info(&output.path).is_some())
        {
            Some(output) => Err(BuildError::Setup {
                problem: SetupProblem::OutputsInTheWay,
                message: format!("the output {} is valid already", output.path),
            }),
            None => Ok(hold),
        }
    }

    async fn register(&self, outputs: Vec<Finished>) -> Result<Vec<MadeOutput>, BuildError> {
        let store = Arc::clone(self.store.inner());
        let registered = tokio::task::spawn_blocking(move || {
            let (names, items): (Vec<_>, Vec<_>) =
                outputs.into_iter().map(|it| (it.name, it.item)).unzip();
            let paths: Vec<_> = items.iter().map(|item| item.info.path.clone()).collect();
            let infos = store.register(items)?;
            Ok((names.into_iter().zip(paths).collect::<Vec<_>>(), infos))
        });
        let registered: Result<_, LocalStoreError> =
            registered.await.map_err(|error| BuildError::Setup {
                problem: SetupProblem::Other,
                message: format!("the store failed: {error}"),
            })?;
        let (outputs, mut infos) = registered.map_err(|error| BuildError::Setup {
            problem: match error {
                LocalStoreError::Full => SetupProblem::DiskFull,
                _ => SetupProblem::Other,
            },
            message: error.to_string(),
        })?;
        let mut made = Vec::new();
        for (name, path) in outputs {
            let at = infos
                .iter()
                .position(|info| info.path == path)
                .expect("the store returns what it was given");
            let info = infos.swap_remove(at);
            made.push(MadeOutput {
                name: name.to_string(),
                path,
                nar_hash: info.nar_hash,
                nar_size: info.nar_size,
                references: info.references,
            });
        }
        Ok(made)
    }
}
