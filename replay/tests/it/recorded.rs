//! Farms that were recorded.

use std::fmt::Write as _;
use std::time::Duration;

use grange_replay::*;

/// A recording, line by line.
struct Paper {
    text: String,
    fact: u64,
}

const DIGITS: &str = "0123456789abcdfghijklmnpqrsvwxyz";

/// What a derivation of this number is called.
fn name(number: usize) -> String {
    DIGITS[number..=number].repeat(32)
}

fn uuid(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

impl Paper {
    fn new() -> Self {
        let text =
            "{\"format\":\"grange-recording\",\"version\":1,\"fact\":0,\"at\":0}\n".to_owned();
        Self { text, fact: 0 }
    }

    fn line(&mut self, at: u64, rest: &str) -> &mut Self {
        self.fact += 1;
        let fact = self.fact;
        writeln!(self.text, "{{\"fact\":{fact},\"at\":{at},{rest}}}").unwrap();
        self
    }

    fn agent(&mut self, number: usize, parallel: u32, ahead: u32) -> &mut Self {
        let id = uuid(number);
        let agent = format!(
            "\"agent\":{{\"id\":\"{id}\",\"name\":\"agent-{number}\",\"systems\":[\"x86_64-linux\"],\"parallel\":{parallel},\"ahead\":{ahead}}}"
        );
        self.line(0, &agent)
    }

    /// A build, and the derivation of the same number.
    fn submitted(&mut self, at: u64, number: usize, inputs: &[usize], more: &str) -> &mut Self {
        self.again(at, number, number, inputs, more)
    }

    fn again(
        &mut self,
        at: u64,
        build: usize,
        number: usize,
        inputs: &[usize],
        more: &str,
    ) -> &mut Self {
        let (build, id) = (uuid(build), name(number));
        let inputs: Vec<String> = inputs
            .iter()
            .map(|it| format!("\"{}\"", name(*it)))
            .collect();
        let inputs = inputs.join(",");
        let submitted = format!(
            "\"submitted\":{{\"build\":\"{build}\",\"derivation\":{{\"id\":\"{id}\",\"name\":\"p-{number}\",\"system\":\"x86_64-linux\",\"outputs\":[\"out\"],\"inputs\":[{inputs}]}}{more}}}"
        );
        self.line(at, &submitted)
    }

    fn ended(
        &mut self,
        number: usize,
        state: &str,
        attempts: &[(usize, u64, u64, &str)],
    ) -> &mut Self {
        let build = uuid(number);
        let attempts: Vec<String> = (0..)
            .zip(attempts)
            .map(|(count, (agent, from, to, how)): (usize, _)| {
                let agent = uuid(*agent);
                format!("{{\"id\":\"1.{number}.{count}\",\"agent\":\"{agent}\",\"assigned\":{from},\"ended\":{to},\"how\":\"{how}\"}}")
            })
            .collect();
        let attempts = attempts.join(",");
        let ended = format!(
            "\"ended\":{{\"build\":\"{build}\",\"state\":\"{state}\",\"attempts\":[{attempts}]}}"
        );
        self.line(0, &ended)
    }

    fn read(&self) -> Recorded {
        Recorded::read(self.text.as_bytes(), "submitter").unwrap()
    }

    #[track_caller]
    fn refused(&self) -> String {
        let error = Recorded::read(self.text.as_bytes(), "submitter").unwrap_err();
        error.to_string()
    }
}

const IMPLICIT: &str = ",\"implicit\":true";

fn run(recorded: &Recorded) -> Outcome {
    let rules = Choice::read("priority").unwrap();
    let rules = rules.rules(&recorded.workload, &recorded.fleet, &Predictions::none(0.5));
    replay(&recorded.workload, &recorded.fleet, rules, || {
        Duration::ZERO
    })
    .unwrap()
}

/// Two in a chain and one beside them on two agents: as it was, it is again.
#[test]
fn a_farm_that_did_its_best_is_replayed_as_it_was() {
    let mut paper = Paper::new();
    paper.agent(1, 1, 0).agent(2, 1, 0);
    paper.submitted(1_000, 0, &[1], ",\"tags\":{\"submitter\":\"ada\"}");
    paper.submitted(1_000, 1, &[], IMPLICIT);
    paper.submitted(1_500, 2, &[9], ",\"priority\":3");
    paper.ended(1, "succeeded", &[(1, 1_000, 5_000, "succeeded")]);
    paper.ended(0, "succeeded", &[(1, 5_000, 8_000, "succeeded")]);
    paper.ended(2, "succeeded", &[(2, 1_500, 4_500, "succeeded")]);
    let recorded = paper.read();
    assert_eq!(
        (recorded.builds, recorded.left_out, recorded.unknown),
        (3, 0, 0)
    );
    assert_eq!(recorded.workload.submitters(), ["-", "ada"]);
    let times: Vec<_> = recorded
        .workload
        .submissions()
        .iter()
        .map(|it| (it.at, it.priority))
        .collect();
    assert_eq!(
        times,
        [(Duration::ZERO, 0), (Duration::from_millis(500), 3)]
    );
    assert_eq!(recorded.fleet.machines()[0].name, "agent-1");
    assert_eq!(recorded.outcome.makespan_ms(), 7_000);
    let bounds = Bounds::new(&recorded.workload, &recorded.fleet);
    let summary = Summary::new(
        &recorded.workload,
        &recorded.fleet,
        bounds,
        &recorded.outcome,
    );
    assert_eq!((summary.waits.mean_ms, summary.waits.longest_ms), (0, 0));
    assert_eq!(summary.ratio(), 1.0);

    let outcome = run(&recorded);
    assert_eq!(outcome.built.len(), 3);
    assert_eq!(outcome.makespan_ms(), 7_000);
}

#[test]
fn what_is_assigned_beforehand_begins_when_there_is_room() {
    let mut paper = Paper::new();
    paper.agent(1, 1, 1);
    for number in 0..3 {
        paper.submitted(0, number, &[], "");
    }
    paper.ended(0, "succeeded", &[(1, 0, 100, "succeeded")]);
    paper.ended(1, "succeeded", &[(1, 0, 250, "succeeded")]);
    paper.ended(2, "succeeded", &[(1, 100, 300, "succeeded")]);
    let recorded = paper.read();
    let mut durations: Vec<u64> = recorded
        .workload
        .jobs()
        .iter()
        .map(|it| it.duration_ms)
        .collect();
    durations.sort_unstable();
    assert_eq!(durations, [50, 100, 150]);
    let waits: Vec<u64> = recorded
        .outcome
        .built
        .iter()
        .map(|it| it.start_ms - it.ready_ms)
        .collect();
    assert_eq!(waits, [0, 100, 250]);
    let machine = &recorded.fleet.machines()[0];
    assert_eq!((machine.slots, machine.ahead, machine.speed), (1, 1, 1.0));
    assert_eq!(run(&recorded).makespan_ms(), 300);
}

/// The success counts, else the last failure; what never ran is left out, but not what ran for it.
#[test]
fn what_ran_is_replayed_and_nothing_else() {
    let mut paper = Paper::new();
    paper.agent(1, 4, 0);
    paper.submitted(0, 0, &[], "");
    paper.ended(
        0,
        "succeeded",
        &[
            (1, 0, 9, "setup-failed"),
            (1, 10, 40, "failed"),
            (1, 50, 70, "succeeded"),
        ],
    );
    paper.submitted(0, 1, &[], "");
    paper.ended(1, "failed", &[(1, 0, 7, "failed"), (1, 7, 8, "lost")]);
    // It lost an input, which ran for it; it is asked for by the same.
    paper.submitted(
        5,
        2,
        &[3, 1],
        ",\"priority\":9,\"tags\":{\"submitter\":\"ada\"}",
    );
    paper.submitted(5, 3, &[], IMPLICIT);
    paper.ended(3, "succeeded", &[(1, 5, 25, "succeeded")]);
    paper.ended(2, "failed-dependency", &[]);
    // Whoever asked for this is not recorded.
    paper.submitted(6, 4, &[], IMPLICIT);
    paper.ended(4, "succeeded", &[(7, 6, 36, "succeeded")]);
    paper.submitted(6, 5, &[], "");
    paper.ended(6, "succeeded", &[(1, 0, 1, "succeeded")]);
    paper.line(7, "\"gap\":{\"after\":3}");
    let recorded = paper.read();
    assert_eq!((recorded.builds, recorded.left_out), (6, 2));
    assert_eq!((recorded.unknown, recorded.gaps), (1, 1));
    let graph = recorded.workload.copies().graph();
    let of = |name: &str| {
        let node = graph.find(name).unwrap();
        recorded.workload.jobs()[recorded.workload.at((0, node)).unwrap() as usize]
    };
    let durations = ["p-0", "p-1", "p-3", "p-4"].map(|name| of(name).duration_ms);
    assert_eq!(durations, [20, 7, 20, 30]);
    assert_eq!(recorded.workload.jobs().len(), 4);
    let submission = &recorded.workload.submissions()[of("p-3").submission as usize];
    assert_eq!(
        (submission.priority, submission.submitter.as_str()),
        (9, "ada")
    );
    assert_eq!(of("p-4").release_ms, 6);
    assert_eq!(recorded.outcome.wasted_ms, 30);
    // An agent that nobody knows builds for what it has built for.
    assert_eq!(recorded.fleet.machines().len(), 2);
    assert_eq!(recorded.fleet.machines()[1].systems, ["x86_64-linux"]);
    assert_eq!(run(&recorded).built.len(), 4);
}

#[test]
fn what_is_built_twice_is_one_job() {
    let mut paper = Paper::new();
    paper.agent(1, 1, 0);
    paper
        .submitted(0, 0, &[], "")
        .ended(0, "succeeded", &[(1, 0, 10, "succeeded")]);
    paper.again(50, 1, 0, &[], "");
    paper.ended(1, "succeeded", &[(1, 50, 70, "succeeded")]);
    let recorded = paper.read();
    assert_eq!((recorded.builds, recorded.workload.jobs().len()), (2, 1));
    assert_eq!(recorded.workload.jobs()[0].duration_ms, 20);
    assert_eq!(run(&recorded).makespan_ms(), 20);
}

#[test]
fn what_cannot_be_is_refused_with_its_line() {
    let ran = |number| (number, "succeeded");
    let mut circle = Paper::new();
    circle
        .submitted(0, 0, &[1], "")
        .submitted(0, 1, &[2], "")
        .submitted(0, 2, &[1], "");
    for (number, state) in [ran(0), ran(1), ran(2)] {
        circle.ended(number, state, &[(1, 0, 10, "succeeded")]);
    }
    let error = circle.refused();
    assert!(
        error.starts_with("line 3 of the recording: p-1 needs itself")
            || error.starts_with("line 4 of the recording: p-2 needs itself"),
        "{error}"
    );
    let mut own = Paper::new();
    own.submitted(0, 0, &[0], "")
        .ended(0, "succeeded", &[(1, 0, 10, "succeeded")]);
    assert_eq!(
        own.refused(),
        "line 2 of the recording: p-0 needs itself: there is a circle"
    );

    let mut empty = Paper::new();
    assert_eq!(
        empty.refused(),
        "nothing ran to its end in the recording yet"
    );
    empty.submitted(0, 0, &[], "");
    assert_eq!(
        empty.refused(),
        "nothing ran to its end in the recording yet"
    );
    for (attempt, expected) in [
        (
            (1, 10, 9, "succeeded"),
            "line 3 of the recording: attempt 1.0.0 ends before it begins",
        ),
        (
            (1, 0, u64::MAX, "succeeded"),
            "line 3 of the recording: the time 18446744073709551615 is",
        ),
        (
            (1, 0, 40_000_000_000, "failed"),
            "line 3 of the recording: attempt 1.0.0 takes more than a year",
        ),
    ] {
        let mut paper = Paper::new();
        paper
            .submitted(0, 0, &[], "")
            .ended(0, "succeeded", &[attempt]);
        let error = paper.refused();
        assert!(error.starts_with(expected), "{error}");
    }
    let mut paper = Paper::new();
    paper.submitted(u64::MAX, 0, &[], "");
    assert!(
        paper
            .refused()
            .starts_with("line 2 of the recording: the time")
    );
    let mut paper = Paper::new();
    paper.agent(1, u32::MAX, 0).submitted(0, 0, &[], "");
    paper.ended(0, "succeeded", &[(1, 0, 1, "succeeded")]);
    assert!(paper.refused().contains("slots in all; at most"));
    paper.text.insert(0, 'x');
    assert!(
        paper
            .refused()
            .starts_with("line 1 of the recording: this is no recording")
    );
}
