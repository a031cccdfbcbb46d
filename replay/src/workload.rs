//! What is asked for, when, and by whom.

use std::collections::BTreeSet;
use std::time::Duration;

use grange_model::Digest;

use crate::config::{ConfigError, END_MS, YEAR_MS};
use crate::copies::Copies;
use crate::durations::Durations;
use crate::graph::Node;

/// Derivations that somebody asks for at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// How long after the start.
    pub at: Duration,
    /// Who asks.
    pub submitter: String,
    /// The higher, the sooner.
    pub priority: i32,
    /// Which copy or evaluation.
    pub copy: u32,
    /// The numbers of the derivations in the graph; what they need is built too.
    pub derivations: Vec<u32>,
}

/// Everything that a farm is asked for, and how long it takes.
#[derive(Clone, Debug)]
pub struct Workload {
    copies: Copies,
    submissions: Vec<Submission>,
    submitters: Vec<String>,
    /// Copy and number in the graph of each job, in that order.
    places: Vec<(u32, u32)>,
    jobs: Vec<Job>,
    /// The inputs of all jobs, one after the other.
    inputs: Vec<u32>,
    products: usize,
}

/// A derivation that is to be built, in one of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Milliseconds at speed 1.
    pub duration_ms: u64,
    /// Milliseconds from the start to the first submission that needs it.
    pub release_ms: u64,
    /// The number of who asked for it first, among [`Workload::submitters`].
    pub submitter: u16,
    /// The number of the submission that needs it first, among [`Workload::submissions`].
    pub submission: u32,
    /// The number of what it makes. Jobs with the same fixed output make the same.
    pub product: u32,
    first_input: usize,
    inputs: u32,
}

impl Workload {
    /// Submissions, in the order of their times whatever order they are given in.
    ///
    /// # Errors
    ///
    /// One of them names a copy or a derivation that is not there or comes after 100,000 years, there are too many
    /// submitters, or too many derivations (see [`Copies::check`]).
    pub fn new(
        copies: Copies,
        submissions: Vec<Submission>,
        durations: &Durations,
    ) -> Result<Self, ConfigError> {
        Self::lasting(copies, submissions, |node, copy| durations.of(node, copy))
    }

    /// The same, with builds that take so many milliseconds at speed 1: a derivation in a copy.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn lasting(
        copies: Copies,
        mut submissions: Vec<Submission>,
        duration: impl Fn(&Node, u32) -> u64,
    ) -> Result<Self, ConfigError> {
        Copies::check(copies.graph(), copies.copies())?;
        submissions.sort_by_key(|submission| submission.at);
        let nodes = copies.graph().nodes().len();
        let wrong = |what: String| ConfigError::new("workload", what);
        for submission in &submissions {
            if submission.copy >= copies.copies() {
                return Err(wrong(format!("there is no copy {}", submission.copy)));
            }
            let strange = submission.derivations.iter();
            if let Some(node) = strange.copied().find(|node| *node as usize >= nodes) {
                return Err(wrong(format!("there is no derivation {node} in the graph")));
            }
        }
        let last = submissions.last().map(|last| last.at.as_millis());
        if last.is_some_and(|last| last > u128::from(END_MS)) {
            return Err(wrong("a submission after 100,000 years".to_owned()));
        }
        let names = submissions.iter();
        let names: BTreeSet<&str> = names.map(|it| it.submitter.as_str()).collect();
        if names.len() > usize::from(u16::MAX) {
            return Err(wrong(format!("{} submitters", names.len())));
        }
        let submitters: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let wanted = Wanted::new(&copies, &submissions, &submitters);
        let mut workload = Self {
            places: Vec::new(),
            jobs: Vec::new(),
            inputs: Vec::new(),
            products: 0,
            submitters,
            submissions,
            copies,
        };
        workload.number(&wanted, duration);
        Ok(workload)
    }

    /// Every copy or evaluation is asked for as a whole: the derivations that nothing else needs. One submission follows
    /// the other after `every`; submitters take turns, and there are as many of them as said, at least one.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn each_copy(
        copies: Copies,
        every: Duration,
        submitters: u32,
        durations: &Durations,
    ) -> Result<Self, ConfigError> {
        // Before each has a list of its own.
        Copies::check(copies.graph(), copies.copies())?;
        let tops = copies.graph().tops();
        let submissions = (0..copies.copies()).map(|copy| Submission {
            at: every.saturating_mul(copy),
            submitter: format!("submitter-{}", copy % submitters.max(1) + 1),
            priority: 0,
            copy,
            derivations: tops.clone(),
        });
        let submissions = submissions.collect();
        Self::new(copies, submissions, durations)
    }

    fn number(&mut self, wanted: &Wanted, duration: impl Fn(&Node, u32) -> u64) {
        let nodes = self.copies.graph().nodes().len();
        let mut numbers = vec![u32::MAX; wanted.by.len()];
        let mut products = vec![u32::MAX; wanted.by.len()];
        for (copy, node) in self.copies.all() {
            let place = copy as usize * nodes + node as usize;
            let Some(submission) = wanted.by[place] else {
                continue;
            };
            let (release_ms, submitter) = wanted.submissions[submission as usize];
            let row = &self.copies.graph().nodes()[node as usize];
            let first = self.inputs.len();
            for input in &row.inputs {
                let origin = self.copies.origin(copy, input.node) as usize;
                let number = numbers[origin * nodes + input.node as usize];
                if self.inputs[first..].last() != Some(&number) {
                    self.inputs.push(number);
                }
            }
            self.inputs[first..].sort_unstable();
            let made = row.fixed.unwrap_or(node) as usize;
            let product = &mut products[copy as usize * nodes + made];
            if *product == u32::MAX {
                *product = u32::try_from(self.products).unwrap_or(u32::MAX);
                self.products += 1;
            }
            numbers[place] = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
            self.places.push((copy, node));
            self.jobs.push(Job {
                duration_ms: duration(row, copy).clamp(1, YEAR_MS),
                release_ms,
                submitter,
                submission,
                product: *product,
                first_input: first,
                inputs: u32::try_from(self.inputs.len() - first).unwrap_or(u32::MAX),
            });
        }
    }

    /// What is built, in all its copies.
    #[must_use]
    pub fn copies(&self) -> &Copies {
        &self.copies
    }

    /// In the order of their times.
    #[must_use]
    pub fn submissions(&self) -> &[Submission] {
        &self.submissions
    }

    /// The names of all who ask, sorted.
    #[must_use]
    pub fn submitters(&self) -> &[String] {
        &self.submitters
    }

    /// Every derivation that somebody needs; those that others need before them.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// The jobs that a job needs, sorted.
    ///
    /// # Panics
    ///
    /// If there is no such job.
    #[must_use]
    pub fn inputs(&self, job: u32) -> &[u32] {
        let job = &self.jobs[job as usize];
        &self.inputs[job.first_input..job.first_input + job.inputs as usize]
    }

    /// How many different things all jobs make.
    #[must_use]
    pub fn products(&self) -> usize {
        self.products
    }

    /// The copy and the number in the graph of a job.
    ///
    /// # Panics
    ///
    /// If there is no such job.
    #[must_use]
    pub fn place(&self, job: u32) -> (u32, u32) {
        self.places[job as usize]
    }

    /// What a job builds on.
    ///
    /// # Panics
    ///
    /// If there is no such job.
    #[must_use]
    pub fn system(&self, job: u32) -> &str {
        let (_, node) = self.place(job);
        &self.copies.graph().nodes()[node as usize].system
    }

    /// The job that builds a derivation.
    #[must_use]
    pub fn find(&self, derivation: Digest) -> Option<u32> {
        let place = self.copies.locate(derivation)?;
        self.at(place)
    }

    /// The job of that copy and number in the graph, if anybody needs it.
    #[must_use]
    pub fn at(&self, place: (u32, u32)) -> Option<u32> {
        let at = self.places.binary_search(&place).ok()?;
        u32::try_from(at).ok()
    }

    /// Milliseconds at speed 1 of all jobs together.
    #[must_use]
    pub fn work_ms(&self) -> u64 {
        let durations = self.jobs.iter().map(|job| job.duration_ms);
        durations.fold(0, u64::saturating_add)
    }
}

/// Which derivation of which copy is needed first by which submission.
struct Wanted {
    by: Vec<Option<u32>>,
    /// When each comes, in milliseconds, and from whom.
    submissions: Vec<(u64, u16)>,
}

impl Wanted {
    fn new(copies: &Copies, submissions: &[Submission], submitters: &[String]) -> Self {
        let nodes = copies.graph().nodes().len();
        let mut by = vec![None; nodes * copies.copies() as usize];
        let mut open = Vec::new();
        let mut when = Vec::new();
        for (number, submission) in (0..).zip(submissions) {
            let at = u64::try_from(submission.at.as_millis()).unwrap_or(u64::MAX);
            let submitter = submitters.binary_search(&submission.submitter);
            let submitter = submitter.ok().and_then(|number| u16::try_from(number).ok());
            when.push((at, submitter.unwrap_or(0)));
            let derivations = submission.derivations.iter();
            open.extend(derivations.map(|node| (submission.copy, *node)));
            while let Some((copy, node)) = open.pop() {
                let origin = copies.origin(copy, node);
                let known: &mut Option<_> = &mut by[origin as usize * nodes + node as usize];
                // Who needs it first needs all that it needs.
                if known.is_none() {
                    *known = Some(number);
                    let inputs = &copies.graph().nodes()[node as usize].inputs;
                    // It needs them as they were when it changed last.
                    open.extend(inputs.iter().map(|input| (origin, input.node)));
                }
            }
        }
        Self {
            by,
            submissions: when,
        }
    }
}
