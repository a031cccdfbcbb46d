//! What is known, as clients are shown it.

use grange_coordinator_core::{AgentStatus, AttemptPhase, AttemptStatus, BuildStatus, Why};
use grange_interfaces::message::{
    AgentView, AttemptView, BuildSummary, BuildView, CauseView, Health, HeldAttempt, OutputView,
    Phase, PredictionView, SetupFailureView,
};
use grange_model::{
    AttemptOutcome, AttemptSummary, BuildRecord, BuildState, FinishedBuild, LostReason,
    SetupFailure, Usage,
};

use super::why;
use crate::convert::path_text;

fn record_summary(
    record: &BuildRecord,
    store: &str,
    state: BuildState,
    system: &str,
) -> BuildSummary {
    BuildSummary {
        id: record.spec.id,
        derivation: path_text(store, &record.derivation),
        state,
        system: system.to_owned(),
        priority: record.spec.priority,
        tags: record.spec.tags.clone(),
        implicit: record.implicit,
        submitted_at_ms: record.submitted_at.0,
        ended_at_ms: None,
    }
}

pub(super) fn summary(build: BuildStatus) -> BuildSummary {
    record_summary(&build.record, &build.store, build.state, &build.system)
}

pub(super) fn finished_summary(build: &FinishedBuild, store: &str) -> BuildSummary {
    let summary = record_summary(&build.build, store, build.state, &build.system);
    BuildSummary {
        ended_at_ms: Some(build.ended_at.0),
        ..summary
    }
}

pub(super) fn live(
    build: BuildStatus,
    why: &Why,
    predicted: PredictionView,
    outputs: Vec<OutputView>,
) -> BuildView {
    let waits_for = match why {
        Why::Blocked(blocked) => blocked
            .waits_for
            .iter()
            .map(|item| path_text(&build.store, item))
            .collect(),
        _ => Vec::new(),
    };
    let record = &build.record;
    let past = build.past.iter().map(past_attempt);
    let attempts = past.chain(build.attempts.iter().map(attempt)).collect();
    BuildView {
        derived_priority: build.derived_priority,
        requires: record.spec.requires.clone(),
        resources: record.spec.resources.clone(),
        predicted: Some(predicted),
        timeout_ms: record.spec.limits.timeout_ms,
        max_silent_ms: record.spec.limits.max_silent_ms,
        reasons: why::reasons(why),
        remedies: why::remedies(why),
        roots: why::roots(why, &build.store),
        waits_for,
        attempts,
        setup_failures: record.setup_failures.iter().map(setup_failure).collect(),
        causes: Vec::new(),
        outputs,
        summary: summary(build),
    }
}

pub(super) fn finished(build: FinishedBuild, store: &str, outputs: Vec<OutputView>) -> BuildView {
    let reason = |reason| match reason {
        LostReason::Failed => "failed",
        LostReason::FailedDependency => "failed-dependency",
        LostReason::Canceled => "canceled",
    };
    let causes = build.causes.iter().map(|cause| CauseView {
        derivation: path_text(store, &cause.derivation),
        build: cause.build,
        reason: reason(cause.reason).to_owned(),
        root_derivation: path_text(store, &cause.root_derivation),
        root: cause.root,
    });
    let spec = &build.build.spec;
    BuildView {
        derived_priority: spec.priority,
        requires: spec.requires.clone(),
        resources: spec.resources.clone(),
        predicted: None,
        timeout_ms: spec.limits.timeout_ms,
        max_silent_ms: spec.limits.max_silent_ms,
        reasons: Some(build.reason.clone())
            .filter(|reason| !reason.is_empty())
            .into_iter()
            .collect(),
        remedies: Vec::new(),
        waits_for: Vec::new(),
        roots: Vec::new(),
        attempts: build.attempts.iter().map(past_attempt).collect(),
        setup_failures: build
            .build
            .setup_failures
            .iter()
            .map(setup_failure)
            .collect(),
        causes: causes.collect(),
        outputs,
        summary: finished_summary(&build, store),
    }
}

fn setup_failure(failure: &SetupFailure) -> SetupFailureView {
    SetupFailureView {
        agent: failure.agent,
        message: failure.message.clone(),
        at_ms: failure.at.0,
    }
}

fn attempt(attempt: &AttemptStatus) -> AttemptView {
    let state = match attempt.phase {
        _ if attempt.expired => "expired",
        AttemptPhase::Preparing => "preparing",
        AttemptPhase::Building => "building",
        AttemptPhase::Uploading => "uploading",
    };
    AttemptView {
        id: attempt.record.id,
        agent: attempt.record.agent,
        assigned_at_ms: attempt.record.assigned_at.0,
        ended_at_ms: None,
        state: state.to_owned(),
        message: String::new(),
        has_log: true,
        usage: Usage::default(),
        choice: why::choice(&attempt.record.choice, attempt.record.assigned_at),
    }
}

fn past_attempt(summary: &AttemptSummary) -> AttemptView {
    let (state, message) = match &summary.outcome {
        AttemptOutcome::Succeeded => ("succeeded", String::new()),
        AttemptOutcome::Failed { message, .. } => ("failed", message.clone()),
        AttemptOutcome::SetupFailed(failure) => ("setup-failed", failure.message.clone()),
        AttemptOutcome::Lost => ("lost", String::new()),
        _ => ("dropped", String::new()),
    };
    AttemptView {
        id: summary.id,
        agent: summary.agent,
        assigned_at_ms: summary.assigned_at.0,
        ended_at_ms: Some(summary.ended_at.0),
        state: state.to_owned(),
        message,
        has_log: summary.log.is_some(),
        usage: summary.usage,
        choice: why::choice(&summary.choice, summary.assigned_at),
    }
}

pub(super) fn agent(agent: AgentStatus) -> AgentView {
    let phase = |phase| match phase {
        AttemptPhase::Preparing => Phase::Preparing,
        AttemptPhase::Building => Phase::Building,
        AttemptPhase::Uploading => Phase::Uploading,
    };
    let held = agent.attempts.iter().map(|attempt| HeldAttempt {
        attempt: attempt.record.id,
        phase: phase(attempt.phase),
    });
    AgentView {
        attempts: held.collect(),
        id: agent.record.id,
        name: agent.record.name,
        paused: agent.record.paused,
        present: agent.present,
        operator_tags: agent.record.tags,
        tags: agent.capacity.tags,
        exclusive: agent.capacity.exclusive,
        systems: agent.capacity.systems,
        parallel: agent.capacity.parallel,
        load: agent.health.load,
        health: Health {
            cpu_pressure: agent.health.cpu_pressure,
            memory_pressure: agent.health.memory_pressure,
            io_pressure: agent.health.io_pressure,
            disk_free: agent.health.disk_free,
        },
        resources: agent.capacity.resources,
        used: agent.used,
        pressure: agent.pressure,
        seen_at_ms: agent.seen_at.map(|at| at.0),
        passwords: u32::try_from(agent.record.passwords.len()).unwrap_or(u32::MAX),
    }
}
