//! One build, from its plan to its outputs.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use grange_derivation::{Derivation, Dialect, Options, StorePath};
use grange_interfaces::{BuildError, Job, Log, Stop};
use grange_model::{FailureKind, SetupProblem};

use crate::builder::Shared;
use crate::environment::{Environment, EnvironmentError};
use crate::output::{Finished, Finisher, cannot, failed};
use crate::plan::{End, Obstacle, Plan, Process, Resource, ResourceLimit, Root};
use crate::root::RootSpec;
use crate::run::{Ran, Runner};
use crate::scratch::Scratch;
use crate::users::User;
use crate::{builtin, dialect, machine};

/// What is built, and with what.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub shared: &'a Arc<Shared>,
    pub job: &'a Job,
    pub options: &'a Options<'a>,
    pub dialect: Dialect,
}

/// Outputs, and what has to stay until they are in the store.
#[derive(Debug)]
pub(crate) struct Made {
    pub outputs: Vec<Finished>,
    /// The most bytes of memory that any one process had, if there was one.
    pub peak_memory: Option<u64>,
    pub guard: Place,
}

/// A builder that has run well.
struct Run {
    /// Whose the outputs must be, if not ours.
    owner: Option<u32>,
    peak_memory: Option<u64>,
}

/// The directories of a build and the user that it runs as. In this order: the user is free again when nothing of its
/// is left.
#[derive(Debug)]
pub(crate) struct Place {
    pub scratch: Scratch,
    pub user: User,
}

impl Place {
    /// Removes the directories on a thread that may block: there can be many files in them.
    pub(crate) async fn remove(self) {
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self)).await {
            tracing::warn!(%error, "a build's directory could not be removed");
        }
    }
}

impl Attempt<'_> {
    /// Runs the builder and looks at what it made.
    pub(crate) async fn run(&self, mut log: Log, stop: &Stop) -> Result<Made, BuildError> {
        let place = self.place()?;
        match self.make(&place, &mut log, stop).await {
            Ok(ran) => self.finish(place, ran).await,
            Err(error) => {
                place.remove().await;
                Err(error)
            }
        }
    }

    /// Runs the builder.
    async fn make(&self, place: &Place, log: &mut Log, stop: &Stop) -> Result<Run, BuildError> {
        match builtin::Builtin::of(&self.job.derivation) {
            Some(builtin) => {
                let owner = builtin?.run(self, place, log, stop).await?;
                Ok(Run {
                    owner,
                    peak_memory: None,
                })
            }
            None => {
                let plan = self.plan(place)?;
                let peak_memory = self.run_plan(&plan, log, stop).await?;
                Ok(Run {
                    owner: place.user.is_other().then_some(place.user.outside().uid),
                    peak_memory: Some(peak_memory),
                })
            }
        }
    }

    /// Makes the directories.
    fn place(&self) -> Result<Place, BuildError> {
        let user = self.shared.users.take().ok_or_else(|| BuildError::Setup {
            problem: SetupProblem::Other,
            message: "more builds run at once than there are users for them".to_owned(),
        })?;
        let layout = self.shared.store.inner().layout();
        let name = format!("{}-{}", std::process::id(), layout.number());
        let elsewhere = self.shared.config.build_directory.as_deref();
        let make = || -> io::Result<Scratch> {
            let scratch = Scratch::create(&layout.builds(), elsewhere, &name)?;
            scratch.open_temporary()?;
            if user.is_other() {
                scratch.give_to(user.outside())?;
            }
            Ok(scratch)
        };
        let scratch = make().map_err(|error| cannot("make the build's directories", &error))?;
        Ok(Place { scratch, user })
    }

    /// What the helper is told. Blocks for a moment: inputs are looked at and small files written.
    fn plan(&self, place: &Place) -> Result<Plan, BuildError> {
        let derivation: &Derivation = &self.job.derivation;
        let config = &self.shared.config;
        let directory = self.dialect.build_dir(&derivation.name);
        let identity = place.user.identity(self.dialect);
        let host_network = derivation.fixed_output().is_some();
        let mut environment = Environment::of(
            derivation,
            self.dialect,
            self.options,
            &directory,
            self.job.cores,
            &config.impure_environment,
        );
        environment
            .add_graphs(&self.shared.store, self.options)
            .map_err(|error| match error {
                EnvironmentError::Missing(_) | EnvironmentError::Derivation(..) => {
                    failed(FailureKind::Other, error.to_string())
                }
            })?;
        let owner = place.user.is_other().then(|| place.user.outside());
        environment
            .write_files(&place.scratch.build(), owner)
            .map_err(|error| cannot("write the build's files", &error))?;
        let root = RootSpec {
            store: self.shared.store.inner(),
            store_dir: &derivation.store,
            dialect: self.dialect,
            ids: identity.inside,
            inputs: &self.job.inputs,
            sandbox_paths: &config.sandbox_paths,
            host_network,
            build_directory: &directory,
            scratch: &place.scratch,
        };
        let root = Root::Private(
            root.plan()
                .map_err(|error| cannot("plan the build's root", &error))?,
        );
        Ok(Plan {
            identity,
            host_network,
            root,
            process: Some(self.process(&environment, directory)),
        })
    }

    fn process(&self, environment: &Environment, directory: String) -> Process {
        let derivation: &Derivation = &self.job.derivation;
        let config = &self.shared.config;
        let name = derivation
            .builder
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default()
            .to_vec();
        let mut allowed = vec![derivation.store.as_str().as_bytes().to_vec()];
        allowed.extend(
            config
                .sandbox_paths
                .iter()
                .map(|path| path.as_os_str().as_bytes().to_vec()),
        );
        Process {
            program: derivation.builder.clone(),
            arguments: std::iter::once(name)
                .chain(derivation.args.iter().cloned())
                .collect(),
            environment: environment.to_texts(),
            directory: directory.into_bytes(),
            allowed,
            linux32: machine::is_32_bit_guest(&derivation.system),
            refuse_privileged_modes: dialect::refuses_privileged_modes(self.dialect),
            limits: self.limits(),
        }
    }

    /// No core dumps unless a build asks for them, as in both daemons; and what the operator said.
    pub(crate) fn limits(&self) -> Vec<ResourceLimit> {
        let limits = &self.shared.config.limits;
        let mut all = vec![ResourceLimit {
            resource: Resource::CoreBytes,
            soft: Some(0),
            hard: None,
        }];
        let said = [
            (Resource::AddressSpaceBytes, limits.memory_bytes),
            (Resource::Processes, limits.processes),
            (Resource::OpenFiles, limits.open_files),
            (Resource::FileBytes, limits.file_bytes),
        ];
        all.extend(said.into_iter().filter(|(_, value)| value.is_some()).map(
            |(resource, value)| ResourceLimit {
                resource,
                soft: value,
                hard: value,
            },
        ));
        all
    }

    /// Runs a plan; an error unless the program exits with 0.
    pub(crate) async fn run_plan(
        &self,
        plan: &Plan,
        log: &mut Log,
        stop: &Stop,
    ) -> Result<u64, BuildError> {
        let config = &self.shared.config;
        let runner = Runner {
            helper: &config.helper,
            limits: self.job.limits,
            max_log_bytes: config.max_log_bytes,
            stop,
        };
        let ran = runner
            .run(plan, log)
            .await
            .map_err(|error| cannot("run the sandbox", &error))?;
        let limits = self.job.limits;
        match ran {
            Ran::Ended { end, peak_memory } => match end {
                End::Exited(0) => Ok(peak_memory),
                End::Exited(code) => Err(failed(
                    FailureKind::Exit(code),
                    format!("the builder exited with status {code}"),
                )),
                End::Signaled(signal) => Err(failed(
                    FailureKind::Signal(signal),
                    format!("the builder was ended by signal {signal}"),
                )),
                End::NotRun(obstacle) => Err(self.not_run(obstacle)),
            },
            Ran::Timeout => {
                let message = format!("the builder ran for more than {} ms", limits.timeout_ms);
                Err(failed(FailureKind::Timeout, message))
            }
            Ran::Silence => {
                let message = format!("the builder said nothing for {} ms", limits.max_silent_ms);
                Err(failed(FailureKind::Silence, message))
            }
            Ran::TooMuchLog => {
                let most = config.max_log_bytes.unwrap_or_default();
                Err(failed(
                    FailureKind::Other,
                    format!("the builder wrote more than {most} bytes of log"),
                ))
            }
            Ran::Stopped => Err(BuildError::Stopped),
        }
    }

    fn not_run(&self, obstacle: Obstacle) -> BuildError {
        let builder = self.job.derivation.builder.escape_ascii();
        match obstacle {
            Obstacle::Program { what } => failed(
                FailureKind::Other,
                format!("the builder {builder} cannot be executed: {what}"),
            ),
            Obstacle::Step { what, errno } => {
                let error = io::Error::from_raw_os_error(errno);
                cannot(&format!("make the sandbox: {what}"), &error)
            }
            Obstacle::Namespaces { missing, errno } => {
                let error = io::Error::from_raw_os_error(errno);
                cannot(
                    &format!(
                        "make the namespaces of the sandbox ({})",
                        missing.join(", ")
                    ),
                    &error,
                )
            }
        }
    }

    /// Looks at the outputs, on a thread that may block.
    async fn finish(&self, place: Place, ran: Run) -> Result<Made, BuildError> {
        let derivation = Arc::clone(&self.job.derivation);
        let (path, inputs): (StorePath, Vec<StorePath>) =
            (self.job.path.clone(), self.job.inputs.clone());
        let finish = move || {
            let outputs = place.scratch.outputs();
            let finisher = Finisher {
                derivation: &derivation,
                path: &path,
                inputs: &inputs,
                outputs,
                owner: ran.owner,
            };
            Ok(Made {
                outputs: finisher.finish()?,
                peak_memory: ran.peak_memory,
                guard: place,
            })
        };
        let finished = tokio::task::spawn_blocking(finish).await;
        finished.map_err(|error| cannot("look at the outputs", &io::Error::other(error)))?
    }
}
