//! Coordinators that are killed the first time that they start.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use grange_fail_points::Point;

use crate::audit;
use crate::farm::{Farm, PATIENCE, Setup};
use crate::random::Random;

/// Points that are passed in a new directory alone.
pub(crate) const BIRTHS: [Point; 8] = [
    Point::KeyMade,
    Point::KeyLinked,
    Point::KeyUnlinked,
    Point::KeySecretWritten,
    Point::DatabaseMade,
    Point::SchemaWritten,
    Point::SchemaCommitted,
    Point::ArtifactsMade,
];

/// Kills at each of them, and then at another one; how often in all.
pub(crate) fn run(programs: &Path, directory: &Path, random: &mut Random) -> anyhow::Result<usize> {
    let mut killed = 0;
    for point in BIRTHS {
        let most = match point {
            // A secret and a public key; with a farm for Nix there are four files.
            Point::KeyMade => 4,
            // Those of one kind are as those of the other.
            Point::KeyLinked | Point::KeyUnlinked | Point::KeySecretWritten => 2,
            _ => 1,
        };
        for times in 1..=most {
            let again = BIRTHS[usize::try_from(random.below(BIRTHS.len() as u64))?];
            let place = directory.join("birth");
            std::fs::create_dir(&place)?;
            killed += born(programs, &place, point, times, again)
                .with_context(|| format!("at {} the time {times}", point.name()))?;
            std::fs::remove_dir_all(&place)?;
        }
    }
    Ok(killed)
}

fn born(
    programs: &Path,
    directory: &Path,
    point: Point,
    times: u32,
    again: Point,
) -> anyhow::Result<usize> {
    let mut farm = Farm::new(programs, directory, &Setup::new(directory))?;
    farm.coordinator.arm(point.name(), times)?;
    let mut killed = die(&mut farm)?;
    ensure!(killed == 1, "nobody came there");
    // What the first has done already, the second does not do again, and does not die of.
    farm.coordinator.arm(again.name(), 1)?;
    killed += die(&mut farm)?;
    farm.coordinator.disarm();
    if killed == 1 {
        farm.coordinator.stop()?;
    }
    farm.start_coordinator()?;
    let begun = Instant::now();
    while !has_made_all(&farm) {
        ensure!(begun.elapsed() < PATIENCE, "it makes no keys");
        std::thread::sleep(Duration::from_millis(2));
    }
    farm.grange(&["builds", "list"])?;
    let keys = farm.state.join("keys");
    for name in ["guix", "nix"] {
        let secret = keys.join(format!("{name}.sec"));
        let secret = secret.to_str().context("a path is no text")?;
        let shown = farm.grange(&["key", "show", secret])?;
        let public = std::fs::read_to_string(keys.join(format!("{name}.pub")))?;
        ensure!(
            shown.trim() == public.trim(),
            "{name}: {shown} is not {public}"
        );
    }
    let left = audit::coordinator_leftovers(&farm.state)?;
    ensure!(left.is_empty(), "left over: {left:?}");
    farm.coordinator.stop()?;
    farm.check_database()?;
    Ok(killed)
}

/// Starts a coordinator, which dies or answers. How often it died.
fn die(farm: &mut Farm) -> anyhow::Result<usize> {
    farm.coordinator.start()?;
    let begun = Instant::now();
    while !farm.coordinator.has_died()? {
        if has_made_all(farm) && farm.run(&["agents", "list"])?.status.success() {
            return Ok(0);
        }
        ensure!(begun.elapsed() < PATIENCE, "it neither dies nor answers");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(1)
}

/// Whether it has made its directory: behind the keys comes nothing but this.
fn has_made_all(farm: &Farm) -> bool {
    farm.state.join("nar-cache").exists()
}
