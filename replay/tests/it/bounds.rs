//! Lower bounds, against the best of all schedules.

use std::time::Duration;

use grange_replay::{Bounds, Copies, Durations, Fleet, Graph, Layers, Submission, Workload};

use crate::farms::run;

/// Tries every order in which jobs can begin, and every slot for each. A job begins as soon as it can behind what its slot
/// was given before; one of these schedules is the best, as to begin later never helps.
struct Search<'a> {
    workload: &'a Workload,
    /// System and speed.
    slots: Vec<(Vec<String>, f64)>,
    best: f64,
}

impl Search<'_> {
    fn best(workload: &Workload, fleet: &Fleet) -> f64 {
        let slots = fleet.machines().iter().flat_map(|machine| {
            (0..machine.slots).map(|_| (machine.systems.clone(), machine.speed))
        });
        let slots: Vec<_> = slots.collect();
        let mut search = Search {
            workload,
            best: f64::INFINITY,
            slots,
        };
        let free = vec![0.0; search.slots.len()];
        search.go_on(&vec![None; workload.jobs().len()], &free);
        search.best
    }

    fn go_on(&mut self, ends: &[Option<f64>], free: &[f64]) {
        let latest = ends
            .iter()
            .flatten()
            .fold(0.0, |one: f64, other| one.max(*other));
        if latest >= self.best {
            return;
        }
        if ends.iter().all(Option::is_some) {
            self.best = latest;
            return;
        }
        for (number, job) in (0..).zip(self.workload.jobs()) {
            let inputs = self.workload.inputs(number).iter();
            let inputs: Option<Vec<f64>> = inputs.map(|it| ends[*it as usize]).collect();
            let (None, Some(inputs)) = (ends[number as usize], inputs) else {
                continue;
            };
            let ready = inputs.into_iter().fold(job.release_ms as f64, f64::max);
            for at in 0..self.slots.len() {
                let (systems, speed) = self.slots[at].clone();
                if !systems
                    .iter()
                    .any(|system| system == self.workload.system(number))
                {
                    continue;
                }
                let end = ready.max(free[at]) + job.duration_ms as f64 / speed;
                let (mut ends, mut free) = (ends.to_vec(), free.to_vec());
                ends[number as usize] = Some(end);
                free[at] = end;
                self.go_on(&ends, &free);
            }
        }
    }
}

/// Six derivations in layers, some for another system, with durations between 1 and 20 s.
fn small(seed: u64) -> Graph {
    let layers = Layers {
        nodes: 6,
        width: 2,
        degree: 1,
        seed,
    };
    let text = layers.draw().print();
    let mut state = seed;
    let lines = text.lines().enumerate().map(|(number, line)| {
        if number == 0 {
            return line.to_owned();
        }
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        let duration = 1_000 * ((state >> 40) % 20 + 1);
        let line = if state >> 60 < 5 {
            line.replace("x86_64", "i686")
        } else {
            line.to_owned()
        };
        format!("{line}\t{duration}")
    });
    let lines: Vec<String> = lines.collect();
    Graph::read(&lines.join("\n")).expect("it is well-formed")
}

fn fleets() -> Vec<Fleet> {
    let both = "systems = [\"x86_64-linux\", \"i686-linux\"]\n";
    let texts = [
        format!("[[machine]]\nspeed = 2.0\n{both}"),
        format!("[[machine]]\n{both}[[machine]]\nspeed = 3.0\nsystems = [\"x86_64-linux\"]\n"),
        format!(
            "[[machine]]\nslots = 2\n{both}[[machine]]\nspeed = 0.5\nsystems = [\"i686-linux\"]\n"
        ),
    ];
    texts
        .iter()
        .map(|text| Fleet::read(text).expect("it is well-formed"))
        .collect()
}

#[test]
fn no_schedule_falls_below_the_bounds() {
    let mut tight = 0;
    let mut cases = 0;
    for seed in 0..30 {
        let graph = small(seed);
        // Half is asked for at once and the rest at different times.
        let submissions = (0..6).map(|node| Submission {
            at: Duration::from_secs(if node < 3 {
                0
            } else {
                seed % 4 * u64::from(node)
            }),
            submitter: "somebody".to_owned(),
            priority: 0,
            copy: 0,
            derivations: vec![node],
        });
        let copies = Copies::new(graph, 1);
        let workload = Workload::new(copies, submissions.collect(), &Durations::default()).unwrap();
        for fleet in fleets() {
            let bounds = Bounds::new(&workload, &fleet);
            let best = Search::best(&workload, &fleet);
            let bound = bounds.highest_ms();
            assert!(bound <= best + 1e-6, "seed {seed}: {bounds:?}, best {best}");
            tight += usize::from(bound > 0.95 * best);
            cases += 1;
            let outcome = run(&workload, &fleet, "critical-path+fastest");
            assert!(outcome.makespan_ms() as f64 >= best - 1e-6);
        }
    }
    // They are worth something.
    assert!(tight * 2 > cases, "{tight} of {cases}");
}

#[test]
fn work_counts_from_when_it_is_asked_for() {
    let text = "grange-graph 1\na\tx86_64-linux\t-\tout\t-\t10000\nb\tx86_64-linux\t-\tout\t-\t10000\n\
                c\tx86_64-linux\t-\tout\t-\t10000\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 1);
    let submission = |at, derivations| Submission {
        at: Duration::from_secs(at),
        submitter: "somebody".to_owned(),
        priority: 0,
        copy: 0,
        derivations,
    };
    let submissions = vec![submission(0, vec![0]), submission(60, vec![1, 2])];
    let workload = Workload::new(copies, submissions, &Durations::default()).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\nspeed = 2.0\n";
    let bounds = Bounds::new(&workload, &Fleet::read(fleet).unwrap());
    assert_eq!((bounds.path_ms, bounds.work_ms), (65_000.0, 70_000.0));
}

#[test]
fn of_several_makers_of_one_output_the_shortest_counts() {
    let text = "grange-graph 1\ntool\tx86_64-linux\t-\tout\t-\t90000\n\
                source\tx86_64-linux\t1\tout\t0\t60000\n\
                again\tx86_64-linux\t1\tout\t-\t1000\n\
                user\tx86_64-linux\t-\tout\t1 2\t1000\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 1);
    let workload = Workload::each_copy(copies, Duration::ZERO, 1, &Durations::default()).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\n";
    let bounds = Bounds::new(&workload, &Fleet::read(fleet).unwrap());
    assert_eq!((bounds.path_ms, bounds.work_ms), (2_000.0, 2_000.0));
}
