//! Before the build: inputs valid, outputs absent.

use std::io;

use grange_agent_core::Input;
use grange_derivation::StorePath;
use grange_fail_points::{Point, reach};
use grange_interfaces::{Job, LocalStoreError};

use super::derivations::provide;
use super::inputs::Offered;
use super::job::Verified;
use super::room::make_room;
use super::{Problem, StepError};
use crate::context::{Context, Ready};
use crate::shared::Shared;

/// Said in a log that already has something in it from before the agent was restarted.
const AGAIN: &[u8] = b"\n[grange: the agent was restarted; the build begins anew]\n";

/// Makes sure that inputs are valid and outputs absent.
pub(crate) async fn prepare(shared: &Shared, context: &Context) -> Input {
    match ready(shared, context).await {
        Ok(ready) => {
            context.state().ready = Some(ready);
            Input::Prepared(context.id())
        }
        Err(error) => error.into_input(context),
    }
}

async fn ready(shared: &Shared, context: &Context) -> Result<Ready, StepError> {
    let left = context.spool.create().map_err(|error| state_dir(&error))?;
    // A power cut may have taken the directory along, and the coordinator has what was said.
    let left = left || context.earlier;
    reach(Point::SpoolMade);
    let answer = shared.coordinator.job(context.id()).await?;
    let store_dir = shared.store.store_dir();
    let verified = Verified::read(store_dir, &context.assignment.derivation, &answer)?;
    verified.check_system(&shared.systems)?;
    let offered = Offered::read(&verified.derivation, &answer)?;
    drop(answer);
    let mut needed = offered.paths();
    needed.push(verified.path.clone());
    let offers = shared.claims.claim(needed.clone());
    shared.claims.settled(&needed).await;
    make_room(shared).await;
    let _preparing = shared.collecting.read().await;
    let inputs = offered.resolve(shared).await?;
    let mut needed = inputs.all.clone();
    needed.push(verified.path.clone());
    let claim = shared.claims.claim(needed);
    drop(offers);
    let outputs: Vec<_> = verified
        .derivation
        .outputs
        .values()
        .map(|output| output.path.clone())
        .collect();
    clear(shared, &outputs).await?;
    context.state().made = Some(shared.claims.claim(outputs));
    if !inputs.fetch.is_empty() {
        shared.fetcher.fetch(inputs.fetch).await?;
    }
    if shared.wants_derivations {
        provide(shared, &verified).await?;
    }
    continue_log(shared, context, left).await?;
    let job = Job {
        path: verified.path,
        derivation: verified.derivation,
        text: verified.text,
        inputs: inputs.all,
        limits: context.assignment.limits,
        cores: shared.config.cores,
    };
    Ok(Ready { job, claim })
}

/// Deletes outputs that are there from an earlier build.
async fn clear(shared: &Shared, outputs: &[StorePath]) -> Result<(), StepError> {
    let in_the_way = |message: String| StepError::setup(Problem::OutputsInTheWay, message);
    let found = shared.store.query(outputs).await.map_err(|error| {
        StepError::setup(
            Problem::Other,
            format!("the agent's store cannot be asked: {error}"),
        )
    })?;
    let valid = outputs.iter().zip(found).filter(|(_, info)| info.is_some());
    for (output, _) in valid {
        // As long as this lives, nobody who claims it takes it to be here.
        let Some(_doom) = shared.claims.doom(output) else {
            let message = format!("{output} is there, and an input of another build");
            return Err(in_the_way(message));
        };
        shared
            .store
            .delete(output)
            .await
            .map_err(|error| match error {
                error @ LocalStoreError::InUse { .. } => in_the_way(error.to_string()),
                error => in_the_way(format!("{output} cannot be deleted: {error}")),
            })?;
    }
    Ok(())
}

/// Opens the log. If the coordinator may have some of it, that is asked now: what the build says
/// comes behind it.
async fn continue_log(shared: &Shared, context: &Context, left: bool) -> Result<(), StepError> {
    let log = context
        .log(shared, !left)
        .map_err(|error| state_dir(&error))?;
    if left {
        log.sender.lock().await.offset().await?;
        if log.file.length() > 0 && context.state().ready.is_none() {
            log.file.append(AGAIN).map_err(|error| state_dir(&error))?;
        }
    }
    Ok(())
}

fn state_dir(error: &io::Error) -> StepError {
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    let problem = if full {
        Problem::DiskFull
    } else {
        Problem::Other
    };
    StepError::setup(
        problem,
        format!("the agent's state directory cannot be written: {error}"),
    )
}
