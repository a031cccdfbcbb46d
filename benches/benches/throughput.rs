//! A farm against the sandbox builder called in a loop.
//!
//! 100 independent trivial derivations, one build at a time: submitted to a coordinator in a process of its own and
//! built by an agent in another, until the last build has ended and its output lies with the coordinator; and built by
//! calling the sandbox builder in a loop, which makes canonical, scans, hashes and registers as well. The two take turns.

use std::process::ExitCode;
use std::time::Instant;

use grange_benches::farm::Farm;
use grange_benches::process::{cpu_of, own_cpu};
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::stats::Sample;
use grange_benches::{number, run, trivial};

fn main() -> ExitCode {
    run("throughput", measure)
}

async fn measure() -> anyhow::Result<()> {
    let pairs = number("pairs", 15)?;
    let count = usize::try_from(number("builds", 100)?)?;
    let farm = Farm::start().await?;
    let agent = farm.start_agent().await?;
    let ids = [farm.coordinator_id()?, agent.id()];
    let bare = trivial::Bare::new(&farm.directory().join("bare")).await?;
    let warm = trivial::lines("warm", 10)?;
    trivial::build(&farm.client, &warm).await?;
    bare.build(&warm).await?;

    let (mut farms, mut loops, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut farm_cpu, mut loop_cpu) = (0.0, 0.0);
    for pair in 0..pairs {
        let derivations = trivial::lines(&format!("pair-{pair}"), count)?;
        let mut times = [0.0, 0.0];
        // Whoever goes second must not always be the same.
        for which in [pair % 2, 1 - pair % 2] {
            let all = |ids: &[u32]| -> anyhow::Result<f64> {
                let mut sum = own_cpu()?.own + own_cpu()?.children;
                for id in ids {
                    let cpu = cpu_of(*id)?;
                    sum += cpu.own + cpu.children;
                }
                Ok(sum.as_secs_f64())
            };
            let before = all(&ids)?;
            let begun = Instant::now();
            if which == 0 {
                trivial::build(&farm.client, &derivations).await?;
            } else {
                bare.build(&derivations).await?;
            }
            let took = begun.elapsed().as_secs_f64() * 1e3;
            let cpu = (all(&ids)? - before) * 1e3;
            *[&mut farm_cpu, &mut loop_cpu][usize::from(which == 1)] += cpu;
            times[usize::from(which == 1)] = took;
        }
        let [in_farm, in_loop] = times;
        farms.push(in_farm);
        loops.push(in_loop);
        ratios.push(in_farm / in_loop);
    }
    let [farms, loops, ratios] = [farms, loops, ratios].map(Sample::new);
    let builds = pairs as f64 * count as f64;
    line(&format!(
        "  {pairs} pairs of {count} builds; least / quartile / median / quartile / greatest"
    ));
    line(&format!("  farm, ms: {}", farms.spread()));
    line(&format!("  baseline, the loop, ms: {}", loops.spread()));
    line(&format!("  ratio of each pair: {}", ratios.spread()));
    beside(
        "processor time of a build in the farm, all processes",
        farm_cpu / builds,
        "ms",
    );
    beside(
        "processor time of a build in the loop, all processes",
        loop_cpu / builds,
        "ms",
    );
    figure(
        "wall time to the loop's, median of pairs",
        ratios.median(),
        "times",
        Goal::Below(1.3),
    );
    Ok(())
}
