//! What an operator decides.

use std::path::PathBuf;
use std::time::Duration;

use grange_interfaces::Secret;
use grange_interfaces::message::Admission;
use grange_model::{AgentId, Resources, Tags, Timestamp};

use crate::AgentError;

/// How an agent is set up. [`AgentConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Which agent it is.
    pub id: AgentId,
    /// What it proves that with.
    pub password: Secret,
    /// Where logs and results lie until they are sent. Needs room for the compressed outputs of all
    /// attempts that the agent holds.
    pub state_dir: PathBuf,
    /// What it builds for; none for all that the builder offers.
    pub systems: Option<Vec<String>>,
    /// What it offers, besides the features of its builder (as `feature:NAME=yes`). Default: nothing.
    pub tags: Tags,
    /// Keys of `tags`: only builds that require them come here. Default: none.
    pub exclusive: Vec<String>,
    /// How many builds run at once. Default: 1; the builder may lower it.
    pub parallel: u32,
    /// How many attempts more are prepared meanwhile. Default: 1. With 0 the agent idles while
    /// inputs are fetched.
    pub ahead: u32,
    /// How much it has of what builds use up: `cores`, `memory` and `disk` in bytes, tokens of any name. Builds get no more of it
    /// than there is. Default: nothing; of cores, memory and disk there is then enough for whatever comes.
    pub resources: Resources,
    /// When it wants nothing new. Default: it always does.
    pub admission: Admission,
    /// How fast it builds in comparison with others, in thousandths. Default: 1,000. What it does counts so much in shares.
    pub speed: u32,
    /// How many results are compressed and sent at once. Default: 2. More of them take processor
    /// time from builds.
    pub uploads: u32,
    /// How many results may wait to be sent before no further build is begun. Default: 32. More of
    /// them take more room in `state_dir` where the network is slower than the builds.
    pub results: u32,
    /// How many inputs are fetched at once. Default: 8. Each takes about 9 MB at most.
    pub fetches: u32,
    /// What `NIX_BUILD_CORES` shall say; 0, the default, stands for "all".
    pub cores: u32,
    /// How long the coordinator may let an exchange wait for something to do, at most 60 s.
    /// Default: 30 s. The less, the more messages an idle agent sends.
    pub wait: Duration,
    /// Zstandard's level for outputs, from 1 to 19. Default: 3. Higher ones make smaller files at
    /// many times the cost.
    pub compression_level: i32,
    /// Builds that took at least so long have their result written through to the disk before it is
    /// sent, so that a power cut does not cost the build. Default: 10 s. The shorter, the more often
    /// a disk has to be waited for; a result that could not be sent at once is always written
    /// through.
    pub durable_after: Duration,
    /// Whether outputs are deleted from the agent's store once the coordinator has them. Default:
    /// no; they are inputs of later builds, which would fetch them again.
    pub delete_outputs: bool,
    /// How many bytes shall be free where the store lies. Before the inputs of a build are fetched,
    /// items that nobody needs are deleted until it is so. Default: none, nothing is deleted. With a
    /// daemon that others use, their garbage is deleted too.
    pub min_free: Option<u64>,
    /// Whether it is only logged what would be deleted for `min_free`. Default: no.
    pub min_free_dry_run: bool,
    /// When this run began, to whoever started it. Of two runs of an agent, the coordinator knows the later one by that. Default: by the clock;
    /// one that is set to another date, as in a virtual machine, cannot tell.
    pub began: Option<Timestamp>,
}

impl AgentConfig {
    /// An agent with the default of everything else.
    #[must_use]
    pub fn new(id: AgentId, password: Secret, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            id,
            password,
            state_dir: state_dir.into(),
            systems: None,
            tags: Tags::new(),
            exclusive: Vec::new(),
            parallel: 1,
            ahead: 1,
            resources: Resources::new(),
            admission: Admission::default(),
            speed: 1_000,
            uploads: 2,
            results: 32,
            fetches: 8,
            cores: 0,
            wait: Duration::from_secs(30),
            compression_level: 3,
            durable_after: Duration::from_secs(10),
            delete_outputs: false,
            min_free: None,
            min_free_dry_run: false,
            began: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let wrong = |what: String| Err(AgentError::Config(what));
        let counts = [
            ("parallel", self.parallel),
            ("uploads", self.uploads),
            ("results", self.results),
            ("fetches", self.fetches),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return wrong(format!("`{name}` is 0, and must be at least 1"));
        }
        if let Some(key) = self
            .exclusive
            .iter()
            .find(|key| !self.tags.contains_key(*key))
        {
            return wrong(format!(
                "the key `{key}` is exclusive, but the agent has no such tag"
            ));
        }
        if !(1..=19).contains(&self.compression_level) {
            let level = self.compression_level;
            return wrong(format!(
                "the compression level is {level}, and must be from 1 to 19"
            ));
        }
        if self.wait > Duration::from_secs(60) {
            return wrong(format!(
                "`wait` is {:?}, and must be at most 60 s",
                self.wait
            ));
        }
        if self.systems.as_ref().is_some_and(Vec::is_empty) {
            return wrong("the list of systems is empty".into());
        }
        Ok(())
    }
}
