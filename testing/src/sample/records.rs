//! Records and facts.

use grange_model::{
    AgentId, AgentRecord, AttemptId, AttemptOutcome, AttemptRecord, AttemptSummary, BlobId,
    BuildId, BuildRecord, BuildSpec, BuildState, BuiltOutput, DeadLetter, DerivationRecord, Digest,
    Fact, FactNumber, FailureKind, FailureRecord, FinishedBuild, HistoryRecord, HookRecord,
    InputRef, Item, ItemRecord, Limits, LostCause, LostReason, NarHash, OutputRef, PasswordHash,
    SetupFailure, SetupProblem, Spread, Tags, Term, Timestamp, UpstreamRecord,
};
use uuid::Uuid;

/// An identifier; those of greater numbers are greater.
#[must_use]
pub fn uuid(number: u32) -> Uuid {
    Uuid::from_u64_pair(
        0x0190_0000_0000_7000 | u64::from(number) << 16,
        0x8000_0000_0000_0000,
    )
}

/// The id of a build.
#[must_use]
pub fn build_id(number: u32) -> BuildId {
    BuildId(uuid(number))
}

/// The id of an agent.
#[must_use]
pub fn agent_id(number: u32) -> AgentId {
    AgentId(uuid(number))
}

/// The id of an attempt in the first term.
#[must_use]
pub fn attempt_id(slot: u32) -> AttemptId {
    AttemptId {
        term: Term(1),
        slot,
        generation: 3,
    }
}

/// A digest; its bytes are spread as those of hashes are.
#[must_use]
pub fn digest(number: u32) -> Digest {
    let mut word = u64::from(number).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 20];
    for byte in &mut bytes {
        word = (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        *byte = (word >> 56) as u8;
    }
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

/// An item.
#[must_use]
pub fn item(number: u32) -> Item {
    Item {
        digest: digest(number),
        name: format!("thing-{number}"),
    }
}

/// The name of a derivation.
#[must_use]
pub fn derivation_item(number: u32) -> Item {
    Item {
        digest: digest(number),
        name: format!("thing-{number}.drv"),
    }
}

/// A derivation with two outputs and an input.
#[must_use]
pub fn derivation(number: u32) -> DerivationRecord {
    let output = |index: u32| {
        item(
            number
                .wrapping_mul(2)
                .wrapping_add(1 << 30)
                .wrapping_add(index),
        )
    };
    DerivationRecord {
        item: derivation_item(number),
        store: "/gnu/store".into(),
        system: system(number).into(),
        outputs: vec![
            OutputRef {
                name: "lib".into(),
                item: output(0),
            },
            OutputRef {
                name: "out".into(),
                item: output(1),
            },
        ],
        inputs: vec![InputRef {
            derivation: digest(number / 2),
            output: digest(number / 2 + 1),
        }],
        sources: vec![item(7)],
        hash: [number.to_be_bytes()[3]; 32],
        features: vec!["kvm".into()],
    }
}

/// One of three systems.
#[must_use]
pub fn system(number: u32) -> &'static str {
    ["x86_64-linux", "aarch64-linux", "builtin"][number as usize % 3]
}

/// What a submitter says of a build of derivation `derivation`.
#[must_use]
pub fn spec(number: u32, derivation: u32) -> BuildSpec {
    BuildSpec {
        id: build_id(number),
        derivation: digest(derivation),
        priority: -3,
        tags: tags(number),
        requires: Tags::from([("gpu".into(), "yes".into())]),
        limits: Limits {
            timeout_ms: 3_600_000,
            max_silent_ms: 600_000,
        },
        again: false,
        inputs: true,
        cause: None,
        resources: grange_model::Resources::new(),
    }
}

/// No, one or two tags.
#[must_use]
pub fn tags(number: u32) -> Tags {
    let mut tags = Tags::new();
    if !number.is_multiple_of(3) {
        tags.insert("project".into(), format!("p{}", number % 2));
    }
    if number % 3 == 2 {
        tags.insert("for".into(), "ümläut\0and more".into());
    }
    tags
}

/// An unfinished build in row `slot`.
#[must_use]
pub fn build(number: u32, slot: u32, derivation: u32) -> BuildRecord {
    BuildRecord {
        slot,
        spec: spec(number, derivation),
        derivation: derivation_item(derivation),
        implicit: false,
        rebuild: number.is_multiple_of(5),
        submitted_at: Timestamp(1_700_000_000_000 + u64::from(number)),
        setup_failures: vec![setup_failure(number)],
    }
}

/// A setup failure.
#[must_use]
pub fn setup_failure(number: u32) -> SetupFailure {
    SetupFailure {
        agent: agent_id(number),
        attempt: attempt_id(9),
        problem: SetupProblem::MissingInputs(vec![digest(1), digest(2)]),
        message: "two inputs are missing".into(),
        at: Timestamp(u64::MAX),
    }
}

/// An attempt in place `slot`, shared by all builds of the derivation.
#[must_use]
pub fn attempt(slot: u32, derivation: u32) -> AttemptRecord {
    AttemptRecord {
        id: attempt_id(slot),
        agent: agent_id(1),
        derivation: digest(derivation),
        again: None,
        assigned_at: Timestamp(1_700_000_000_000),
        choice: grange_model::Choice::default(),
    }
}

/// A build that has ended; a lost input if it ended as failed-dependency.
#[must_use]
pub fn finished(number: u32, derivation: u32, state: BuildState) -> FinishedBuild {
    let lost = state == BuildState::FailedDependency;
    FinishedBuild {
        build: build(number, number % 8, derivation),
        system: system(derivation).into(),
        state,
        ended_at: Timestamp(1_700_000_100_000 + u64::from(number)),
        attempts: vec![AttemptSummary {
            id: attempt_id(4),
            agent: agent_id(1),
            assigned_at: Timestamp(1),
            ended_at: Timestamp(2),
            outcome: AttemptOutcome::SetupFailed(setup_failure(number)),
            log: Some(blob(number)),
            usage: grange_model::Usage::default(),
            choice: grange_model::Choice::default(),
        }],
        outputs: vec![BuiltOutput {
            name: "out".into(),
            item: item(number),
            nar_hash: NarHash([1; 32]),
            nar_size: 1 << 40,
            canonical: true,
        }],
        causes: if lost {
            vec![cause(number % 4), cause(number % 4 + 1)]
        } else {
            Vec::new()
        },
        reason: "so it went".into(),
    }
}

/// A lost input: output `output`.
#[must_use]
pub fn cause(output: u32) -> LostCause {
    LostCause {
        output: digest(output),
        derivation: derivation_item(5),
        reason: LostReason::Failed,
        build: build_id(5),
        root: build_id(6),
        root_derivation: derivation_item(6),
    }
}

/// The name of a blob.
#[must_use]
pub fn blob(number: u32) -> BlobId {
    BlobId([number.to_be_bytes()[3]; 32])
}

/// An agent.
#[must_use]
pub fn agent(number: u32) -> AgentRecord {
    AgentRecord {
        id: agent_id(number),
        name: format!("agent {number}"),
        tags: tags(number),
        passwords: vec![PasswordHash([7; 32])],
        paused: number.is_multiple_of(2),
        created_at: Timestamp(0),
    }
}

/// A hook that is done with nothing yet.
#[must_use]
pub fn hook(number: u32) -> HookRecord {
    HookRecord {
        name: format!("hook {number}"),
        cursor: FactNumber(0),
        dead_letters: vec![DeadLetter {
            fact: FactNumber(1),
            build: Some(build_id(1)),
            message: "no".into(),
            at: Timestamp(3),
        }],
    }
}

/// What builds of a package have taken.
#[must_use]
pub fn history(number: u32) -> HistoryRecord {
    let mut duration = Spread::default();
    for milliseconds in [60_000, 70_000, 50_000] {
        duration.add(milliseconds);
    }
    HistoryRecord {
        package: format!("package {number}"),
        system: "x86_64-linux".into(),
        updated_at: Timestamp(3),
        duration,
        memory: Spread::default(),
    }
}

/// An available item.
#[must_use]
pub fn item_record(number: u32) -> ItemRecord {
    ItemRecord {
        item: item(number),
        store: "/gnu/store".into(),
        nar_hash: NarHash([2; 32]),
        nar_size: 1000,
        references: vec![item(1), item(2)],
        deriver: Some(derivation_item(3)),
        blob: blob(number),
        blob_size: 100,
    }
}

/// An item that is available upstream.
#[must_use]
pub fn upstream_record(number: u32) -> UpstreamRecord {
    UpstreamRecord {
        item: item(number),
        store: "/gnu/store".into(),
        nar_hash: NarHash([3; 32]),
        nar_size: 2000,
        references: vec![item(1)],
        deriver: None,
    }
}

/// A remembered failure of derivation `derivation`.
#[must_use]
pub fn failure(derivation: u32) -> FailureRecord {
    FailureRecord {
        derivation: derivation_item(derivation),
        build: build_id(1),
        reason: LostReason::Failed,
        kind: Some(FailureKind::MissingOutput("out".into())),
        message: "there is no output `out`".into(),
        at: Timestamp(4),
        expires_at: Timestamp(u64::MAX),
    }
}

/// A fact about build `number`.
#[must_use]
pub fn fact(number: u32) -> Fact {
    Fact::Submitted {
        build: build_id(number),
        derivation: digest(number),
        implicit: false,
    }
}

/// A fact of every kind, about the same things as the other samples of this number.
#[must_use]
pub fn facts(number: u32) -> Vec<Fact> {
    let (build, agent) = (build_id(number), agent_id(number));
    let (attempt, output) = (attempt_id(number), item(number).digest);
    let derivation = digest(number);
    let ended = [
        BuildState::Succeeded,
        BuildState::Failed,
        BuildState::FailedDependency,
        BuildState::Canceled,
    ];
    let ended = ended.map(|state| Fact::Ended {
        build,
        derivation,
        state,
    });
    let mut facts = vec![
        fact(number),
        Fact::Submitted {
            build,
            derivation,
            implicit: true,
        },
        Fact::Started {
            attempt,
            derivation,
            agent,
            builds: vec![build],
        },
        Fact::SetupFailed {
            build,
            derivation,
            failure: setup_failure(number),
        },
        Fact::Expired {
            attempt,
            derivation,
            agent,
        },
    ];
    facts.extend(ended);
    facts.extend([
        Fact::Reopened { build, derivation },
        Fact::Available { output },
        Fact::Lost { output },
        Fact::AgentChanged { agent },
        Fact::Pruned { output },
        Fact::GoneUpstream { output },
    ]);
    facts
}
