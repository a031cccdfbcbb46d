//! How long a workload takes at least.

use std::collections::BTreeMap;

use crate::fleet::Fleet;
use crate::workload::Workload;

/// Milliseconds from the start, before which no policy ends, whatever it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The critical path: the longest chain of jobs, each on the fastest machine that can take it and not before somebody asked
    /// for it.
    pub path_ms: f64,
    /// The work by the slots, by system.
    pub work_ms: f64,
}

/// What must be made, whoever makes it.
#[derive(Clone, Copy)]
struct Product {
    makers: u32,
    /// Milliseconds at speed 1: the shortest of its makers.
    work: f64,
    /// Milliseconds: it is not begun before.
    head: f64,
    /// Milliseconds: it is not there before.
    end: f64,
    /// Milliseconds that pass at least when it is there.
    tail: f64,
    /// A bit for each system that it may be made on.
    systems: u64,
    must: bool,
}

/// Into how many steps times are cut when pairs of them are tried.
const STEPS: usize = 64;
/// Of so many systems all combinations are tried, of more each alone and all together.
const COMBINED: usize = 6;

impl Bounds {
    /// Those of a workload on a fleet that can build it.
    ///
    /// They hold for every schedule, also one that interrupts builds and moves them:
    ///
    /// * Only what has to be made counts: what was asked for, and the inputs of what has to be made and has one maker.
    ///   Of several derivations with the same fixed output one is enough; that counts as the shortest of them, as soon
    ///   as one of them was asked for, and as if it needed nothing.
    /// * `path_ms`: a job begins after its release and after its inputs (its *head*), and takes its duration by the
    ///   highest speed of its system. After it follows whatever needs it, the longest way (its *tail*). So the end is not
    ///   before head, duration and tail together.
    /// * `work_ms`: take any moment `h`, any time `q`, and any set of systems. Jobs of these systems whose head is `h` or later
    ///   and whose tail is `q` or longer all run between `h` and `q` before the end, and in a second of that time
    ///   the machines with any of these systems do at most as many seconds of work as the speeds of their slots add up to.
    ///   So the end is not before `h`, their work by that sum, and `q` together. `h` = 0 and `q` = 0 give the work over
    ///   slots of the whole workload, `h` = a time of release what is left to do from there. Of all pairs, 64 by
    ///   64 are tried: each is a bound, and the highest is taken.
    #[must_use]
    pub fn new(workload: &Workload, fleet: &Fleet) -> Self {
        let systems = Systems::new(workload, fleet);
        let products = products(workload, &systems);
        let must = || products.iter().filter(|product| product.must);
        let path = must().map(|product| product.end + product.tail);
        let mut work_ms: f64 = 0.0;
        for set in systems.sets() {
            let capacity = systems.capacity(set);
            let within = must().filter(|product| product.systems & !set == 0);
            let within: Vec<&Product> = within.collect();
            if capacity > 0.0 {
                work_ms = work_ms.max(busiest(&within, capacity));
            }
        }
        Self {
            path_ms: path.fold(0.0, f64::max),
            work_ms,
        }
    }

    /// The higher of the two.
    #[must_use]
    pub fn highest_ms(&self) -> f64 {
        self.path_ms.max(self.work_ms)
    }
}

fn products(workload: &Workload, systems: &Systems) -> Vec<Product> {
    let none = Product {
        makers: 0,
        work: f64::INFINITY,
        head: f64::INFINITY,
        end: f64::INFINITY,
        tail: 0.0,
        systems: 0,
        must: false,
    };
    let mut products = vec![none; workload.products()];
    for (at, job) in workload.jobs().iter().enumerate() {
        let product = &mut products[job.product as usize];
        let system = systems.of[at];
        product.makers += 1;
        product.work = product.work.min(job.duration_ms as f64);
        product.head = product.head.min(job.release_ms as f64);
        let end = job.release_ms as f64 + job.duration_ms as f64 / systems.fastest[system];
        product.end = product.end.min(end);
        product.systems |= 1 << system;
    }
    for (number, job) in (0..).zip(workload.jobs()) {
        if products[job.product as usize].makers > 1 {
            continue;
        }
        let inputs = workload.inputs(number).iter();
        let ends = inputs.map(|input| products[product_of(workload, *input)].end);
        let head = ends.fold(job.release_ms as f64, f64::max);
        let takes = job.duration_ms as f64 / systems.fastest[systems.of[number as usize]];
        let product = &mut products[job.product as usize];
        product.head = head;
        product.end = head + takes;
    }
    for submission in workload.submissions() {
        for node in &submission.derivations {
            let origin = workload.copies().origin(submission.copy, *node);
            if let Some(job) = workload.at((origin, *node)) {
                products[product_of(workload, job)].must = true;
            }
        }
    }
    let count = u32::try_from(workload.jobs().len()).unwrap_or(u32::MAX);
    for number in (0..count).rev() {
        let product = products[product_of(workload, number)];
        if !product.must || product.makers > 1 {
            continue;
        }
        let tail = product.tail + (product.end - product.head);
        for input in workload.inputs(number) {
            let input = &mut products[product_of(workload, *input)];
            input.must = true;
            input.tail = input.tail.max(tail);
        }
    }
    products
}

fn product_of(workload: &Workload, job: u32) -> usize {
    workload.jobs()[job as usize].product as usize
}

/// The highest bound by heads, work and tails.
fn busiest(products: &[&Product], capacity: f64) -> f64 {
    let heads = steps(products.iter().map(|product| product.head));
    let tails = steps(products.iter().map(|product| product.tail));
    // The work of what has exactly this head and tail, rounded down to a step each.
    let mut work = vec![vec![0.0; tails.len()]; heads.len()];
    let step = |steps: &[f64], value: f64| steps.partition_point(|step| *step <= value) - 1;
    for product in products {
        work[step(&heads, product.head)][step(&tails, product.tail)] += product.work;
    }
    let mut highest: f64 = 0.0;
    let mut later = vec![0.0; tails.len()];
    for (head, row) in heads.iter().zip(work).rev() {
        let mut longer = 0.0;
        for ((tail, work), later) in tails.iter().zip(row).zip(&mut later).rev() {
            *later += work;
            longer += *later;
            if longer > 0.0 {
                highest = highest.max(head + longer / capacity + tail);
            }
        }
    }
    highest
}

/// Some of the values, the least among them, spread over all; sorted, each once.
fn steps(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    let count = values.len();
    if count <= STEPS {
        return values;
    }
    (0..STEPS).map(|at| values[at * count / STEPS]).collect()
}

/// The systems of a workload, by number, and who builds for them.
struct Systems {
    /// By job.
    of: Vec<usize>,
    /// By system.
    fastest: Vec<f64>,
    /// The systems of each machine, and the speeds of its slots together.
    machines: Vec<(u64, f64)>,
}

impl Systems {
    fn new(workload: &Workload, fleet: &Fleet) -> Self {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let count = u32::try_from(workload.jobs().len()).unwrap_or(u32::MAX);
        // More than 63 share the last number, as if they were one: what any machine offers of them, it offers of all.
        let of = (0..count).map(|job| {
            let next = names.len().min(63);
            *names.entry(workload.system(job)).or_insert(next)
        });
        let of = of.collect();
        let mut fastest = vec![0.0_f64; 64];
        let machines = fleet.machines().iter().map(|machine| {
            let mut bits = 0;
            for system in &machine.systems {
                if let Some(number) = names.get(system.as_str()) {
                    bits |= 1 << number;
                    fastest[*number] = fastest[*number].max(machine.speed);
                }
            }
            (bits, machine.speed * f64::from(machine.slots))
        });
        let machines = machines.collect();
        Self {
            of,
            fastest,
            machines,
        }
    }

    /// Sets of systems, as bits.
    fn sets(&self) -> Vec<u64> {
        let count = self.of.iter().max().map_or(0, |highest| highest + 1);
        if count <= COMBINED {
            (1..1 << count).collect()
        } else {
            let alone = (0..count).map(|system| 1 << system);
            alone.chain([u64::MAX]).collect()
        }
    }

    fn capacity(&self, set: u64) -> f64 {
        let can = self.machines.iter().filter(|(bits, _)| bits & set != 0);
        can.map(|(_, capacity)| capacity).sum()
    }
}
