//! `grange simulate`.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use grange_replay::{
    Bounds, Calibration, Choice, Copies, Durations, Fleet, Graph, Machine, Predictions, Speeds,
    Summary, Workload, check, gantt, replay,
};
use serde_json::{Value, json};

use super::recording::{RECORDED, RECORDING, about as about_recording, recorded};
use crate::cli::SimulateArgs;
use crate::durations::show_milliseconds;
use crate::failure::{Exit, usage};
use crate::output::{Output, note, table};

/// From how many evaluations before the first durations are predicted.
const HISTORY: u32 = 3;
/// The share of packages that had not been there then.
const NEW: f64 = 0.05;
/// The quantile of the history that a build is predicted to take.
const QUANTILE: f64 = 0.5;

pub(super) fn run(args: &SimulateArgs, output: Output) -> anyhow::Result<Exit> {
    let choices = args.policy.iter().map(|name| Choice::read(name));
    let choices: Vec<Choice> = choices
        .collect::<Result<_, _>>()
        .map_err(|error| usage(error.to_string()))?;
    let durations = durations(args)?;
    let (workload, fleet, recorded) = if let Some(file) = &args.record {
        let (recorded, summary) = recorded(file, args)?;
        if !output.is_json() {
            output.line(&about_recording(&recorded))?;
        }
        let fleet = match &args.fleet {
            Some(_) => fleet(args, &recorded.workload)?,
            None => recorded.fleet,
        };
        (recorded.workload, fleet, Some(summary))
    } else {
        let workload = workload(args, &durations)?;
        let fleet = fleet(args, &workload)?;
        (workload, fleet, None)
    };
    check(&workload, &fleet)?;
    let bounds = Bounds::new(&workload, &fleet);
    let predictions = Predictions::before(&workload, &durations, HISTORY, NEW, QUANTILE);
    if !output.is_json() {
        output.line(&about(&workload, &fleet, &bounds))?;
    }
    // Whether it can be written is known before hours of work.
    let mut picture = args.gantt.as_deref().map(Picture::create).transpose()?;
    let mut rows = Vec::new();
    if let Some((summary, value)) = recorded {
        if output.is_json() {
            output.value(&value, |_| String::new())?;
        }
        rows.push(row(RECORDED, &summary));
    }
    let mut last = None;
    for choice in &choices {
        let mut rules = choice.rules(&workload, &fleet, &predictions);
        rules.forecast_every = args.eta_every;
        let outcome = replay(&workload, &fleet, rules, processor_time)
            .with_context(|| format!("cannot simulate {}", choice.name()))?;
        let summary = Summary::new(&workload, &fleet, bounds, &outcome);
        let calibration = Calibration::new(&workload, &outcome);
        if output.is_json() {
            let mut value = value(choice.name(), &workload, &fleet, &summary);
            if let Some(calibration) = calibration {
                value["eta"] = json!({
                    "forecasts": calibration.forecasts,
                    "by_p50": calibration.by_p50,
                    "by_p90": calibration.by_p90,
                    "factor": calibration.factor,
                });
            }
            output.value(&value, |_| String::new())?;
        } else if let Some(calibration) = calibration {
            output.line(&forecasts(choice.name(), &calibration))?;
        }
        rows.push(row(choice.name(), &summary));
        last = Some((choice, outcome));
    }
    if !output.is_json() {
        output.line(&table(HEAD, &rows))?;
    }
    if let Some((picture, (choice, outcome))) = picture.as_mut().zip(last) {
        picture.write(&gantt(&workload, &fleet, &outcome))?;
        let file = picture.name.display();
        note(&format!("{file} shows {}", choice.name()));
    }
    Ok(Exit::Done)
}

fn forecasts(policy: &str, calibration: &Calibration) -> String {
    let percent = |share: f64| 100.0 * share;
    format!(
        "{policy}: of {} builds that were asked, {:.0} % had ended by the median that was forecast, {:.0} % by the 0.9 quantile; \
         half of them took {:.2} times as long or less, and as short or more",
        calibration.forecasts,
        percent(calibration.by_p50),
        percent(calibration.by_p90),
        calibration.factor
    )
}

/// Where the picture goes.
struct Picture<'a> {
    name: &'a Path,
    file: fs::File,
}

impl<'a> Picture<'a> {
    fn create(name: &'a Path) -> anyhow::Result<Self> {
        let file = fs::File::create(name).with_context(|| cannot_write(name))?;
        Ok(Self { name, file })
    }

    fn write(&mut self, svg: &str) -> anyhow::Result<()> {
        let written = self.file.write_all(svg.as_bytes());
        written.with_context(|| cannot_write(self.name))
    }
}

fn cannot_write(file: &Path) -> String {
    format!("cannot write {}", file.display())
}

fn durations(args: &SimulateArgs) -> anyhow::Result<Durations> {
    let mut durations = match &args.durations {
        Some(file) => Durations::read(&read(file)?).with_context(|| file.display().to_string())?,
        None => Durations::default(),
    };
    durations.seed = args.seed.unwrap_or(durations.seed);
    Ok(durations)
}

fn workload(args: &SimulateArgs, durations: &Durations) -> anyhow::Result<Workload> {
    let graph = if args.graph == Path::new("guix") {
        Graph::guix()
    } else {
        let file = &args.graph;
        let text = read(file)?;
        if text.starts_with(RECORDING) {
            let file = file.display();
            return Err(usage(format!(
                "{file} is a recording: give it with --record"
            )));
        }
        Graph::read(&text).with_context(|| file.display().to_string())?
    };
    Copies::check(&graph, args.evaluations.or(args.copies).unwrap_or(1))?;
    let (copies, every) = if let Some(count) = args.evaluations {
        let share = args.change / 100.0;
        let copies = Copies::evaluations(graph, count, share, durations.seed);
        (copies, Duration::from_hours(2))
    } else {
        let copies = Copies::new(graph, args.copies.unwrap_or(1));
        (copies, Duration::ZERO)
    };
    let every = args.every.unwrap_or(every);
    let workload = Workload::each_copy(copies, every, args.submitters, durations)?;
    let name = args.graph.display();
    anyhow::ensure!(!workload.jobs().is_empty(), "{name}: the graph is empty");
    Ok(workload)
}

fn fleet(args: &SimulateArgs, workload: &Workload) -> anyhow::Result<Fleet> {
    if let Some(file) = &args.fleet {
        return Fleet::read(&read(file)?).with_context(|| file.display().to_string());
    }
    let nodes = workload.copies().graph().nodes();
    let mut systems: Vec<String> = nodes.iter().map(|node| node.system.clone()).collect();
    systems.sort_unstable();
    systems.dedup();
    let (slowest, fastest) = args.speeds;
    let speeds = Speeds {
        machines: args.machines,
        slowest,
        fastest,
        systems,
    };
    if let Some(slots) = args.slots {
        return Ok(speeds.with_slots(slots)?);
    }
    Ok(speeds.scaled(workload, args.scale)?)
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

fn about(workload: &Workload, fleet: &Fleet, bounds: &Bounds) -> String {
    let machines: &[Machine] = fleet.machines();
    format!(
        "{} derivations of {} submissions, {} of work; {} machines with {} slots, speed {:.2} in the mean.\n\
         Bound: critical path {}, work by slots {}.\n",
        workload.jobs().len(),
        workload.submissions().len(),
        show_milliseconds(workload.work_ms()),
        machines.len(),
        fleet.slots(),
        fleet.capacity() / fleet.slots() as f64,
        show(bounds.path_ms),
        show(bounds.work_ms),
    )
}

const HEAD: &[&str] = &[
    "POLICY",
    "MAKESPAN",
    "BOUND",
    "RATIO",
    "BUSY",
    "WAIT MEAN",
    "P50",
    "P90",
    "P99",
    "LONGEST",
    "UNFAIR",
    "CORE",
];

fn row(name: &str, summary: &Summary) -> Vec<String> {
    let waits = summary.waits;
    let fairness = &summary.fairness;
    let unfair = if fairness.hours == 0 {
        "-".to_owned()
    } else {
        format!("{:+.1} %", fairness.worst * 100.0)
    };
    let core = if name == RECORDED {
        "-".to_owned()
    } else {
        format!("{:.1} us", summary.core_us())
    };
    vec![
        name.to_owned(),
        show_milliseconds(summary.makespan_ms),
        show(summary.bounds.highest_ms()),
        format!("{:.3}", summary.ratio()),
        format!("{:.1} %", summary.busy * 100.0),
        show_milliseconds(waits.mean_ms),
        show_milliseconds(waits.p50_ms),
        show_milliseconds(waits.p90_ms),
        show_milliseconds(waits.p99_ms),
        show_milliseconds(waits.longest_ms),
        unfair,
        core,
    ]
}

pub(super) fn value(name: &str, workload: &Workload, fleet: &Fleet, summary: &Summary) -> Value {
    let waits = summary.waits;
    let shares = workload.submitters().iter().zip(&summary.fairness.shares);
    let shares: serde_json::Map<_, _> = shares
        .map(|(name, share)| (name.clone(), json!(share)))
        .collect();
    json!({
        "policy": name,
        "derivations": workload.jobs().len(),
        "builds": summary.builds,
        "work_ms": workload.work_ms(),
        "machines": fleet.machines().len(),
        "slots": fleet.slots(),
        "capacity": fleet.capacity(),
        "makespan_ms": summary.makespan_ms,
        "bound_path_ms": summary.bounds.path_ms,
        "bound_work_ms": summary.bounds.work_ms,
        "ratio": summary.ratio(),
        "busy": summary.busy,
        "used": summary.used,
        "wasted_ms": summary.wasted_ms,
        "wait_ms": {
            "mean": waits.mean_ms,
            "p50": waits.p50_ms,
            "p90": waits.p90_ms,
            "p99": waits.p99_ms,
            "longest": waits.longest_ms,
        },
        "fairness": {
            "saturated_hours": summary.fairness.hours,
            "worst": summary.fairness.worst,
            "shares": shares,
        },
        "core_us_per_build": summary.core_us(),
        "core_longest_call_ms": summary.core_longest.as_secs_f64() * 1e3,
    })
}

fn show(milliseconds: f64) -> String {
    // Bounds are never negative.
    show_milliseconds(milliseconds as u64)
}
