//! An exchange, as it goes over the wire.

use std::sync::atomic::{AtomicBool, Ordering};

use grange_agent_core::{Assignment, Exchange, Phase};
use grange_interfaces::message::{self, Capacity, ExchangeAnswer, ExchangeRequest, HeldAttempt};
use grange_interfaces::{Fault, Refusal};

use crate::AgentError;
use crate::health::{health, load};
use crate::shared::Shared;

/// How much an agent takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacities {
    pub(crate) parallel: u32,
    pub(crate) ahead: u32,
}

/// Tells the coordinator; greets it before, if that was not done since it was last lost.
pub(crate) async fn exchange(
    shared: &Shared,
    capacities: Capacities,
    greeted: &AtomicBool,
    exchange: Exchange,
) -> Result<ExchangeAnswer, Refusal> {
    if !greeted.load(Ordering::Relaxed) {
        greet(shared).await?;
        greeted.store(true, Ordering::Relaxed);
    }
    let take = |count: u32| if exchange.accepting { count } else { 0 };
    let held = exchange.held.into_iter();
    let request = ExchangeRequest {
        session: exchange.session,
        revision: exchange.revision,
        capacity: Capacity {
            systems: shared.systems.clone(),
            tags: shared.tags.clone(),
            exclusive: shared.config.exclusive.clone(),
            parallel: take(capacities.parallel),
            ahead: take(capacities.ahead),
            resources: shared.config.resources.clone(),
            admission: shared.config.admission,
            speed: shared.config.speed,
        },
        load: load(),
        health: health(shared.store.free_bytes().await.ok()),
        attempts: held
            .map(|(attempt, phase)| HeldAttempt {
                attempt,
                phase: self::phase(phase),
            })
            .collect(),
        wait_ms: u64::try_from(exchange.wait.as_millis()).unwrap_or(u64::MAX),
    };
    shared.coordinator.exchange(request).await
}

async fn greet(shared: &Shared) -> Result<(), Refusal> {
    let served = shared.coordinator.hello().await?;
    let own = shared.store.store_dir().as_str();
    if served.is_empty() || served.iter().any(|served| served == own) {
        return Ok(());
    }
    let served = served.join(", ");
    let message = format!("the coordinator builds for {served}, and this agent's store is {own}");
    Err(Refusal::new(Fault::Caller, message))
}

/// The same in the words of the protocol.
pub(crate) fn phase(phase: Phase) -> message::Phase {
    match phase {
        Phase::Preparing => message::Phase::Preparing,
        Phase::Building => message::Phase::Building,
        Phase::Uploading => message::Phase::Uploading,
    }
}

/// The same in the words of the core.
pub(crate) fn assignment(assignment: message::Assignment) -> Assignment {
    let message::Assignment {
        attempt,
        derivation,
        builds,
        limits,
    } = assignment;
    Assignment {
        attempt,
        derivation,
        builds,
        limits,
    }
}

/// Why the run ends.
pub(crate) fn refused(refusal: Refusal) -> AgentError {
    if refusal.fault == Fault::Conflict {
        AgentError::Superseded(refusal)
    } else {
        AgentError::Refused(refusal)
    }
}
