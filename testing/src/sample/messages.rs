//! One of each message and answer, with every field set to something.

use grange_interfaces::message::{
    Admission, AgentView, Answer, Assignment, AttemptView, BuildFilter, BuildRequest, BuildSummary,
    BuildView, Capacity, CauseView, Counts, EtaView, ExchangeAnswer, ExchangeRequest, FactView,
    Health, Held, HeldAttempt, HeldView, ItemUpload, ItemView, JobAnswer, Message, OutputView,
    PackageHistory, Phase, PredictionView, PruneRequest, PruneView, PrunedItem, Report,
    ReportedOutput, RootView, SetupFailureView, SpreadView, Submission, SweepView,
};
use grange_interfaces::{Fault, Refusal};
use grange_model::{
    AgentId, AttemptId, BuildId, BuildState, FactNumber, FailureKind, Limits, MEMORY, Resources,
    SessionId, Tags, Usage,
};

const DRV: &str = "/gnu/store/0123456789abcdfghijklmnpqrsvwxyz-hello-2.12.2.drv";
const OUT: &str = "/gnu/store/1123456789abcdfghijklmnpqrsvwxyz-hello-2.12.2";
const LIB: &str = "/gnu/store/2123456789abcdfghijklmnpqrsvwxyz-glibc-2.41";
const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn build() -> BuildId {
    "01890a5d-ac96-774b-bcce-b302099a8057"
        .parse()
        .expect("it is one")
}

fn agent() -> AgentId {
    "11111111-2222-7333-8444-555555555555"
        .parse()
        .expect("it is one")
}

fn session() -> SessionId {
    "01890a5d-ac96-774b-bcce-b302099a8058"
        .parse()
        .expect("it is one")
}

fn attempt() -> AttemptId {
    "3.14.15".parse().expect("it is one")
}

fn tags() -> Tags {
    Tags::from([
        ("channel".into(), "core".into()),
        ("year".into(), "2019".into()),
    ])
}

fn held() -> Vec<HeldAttempt> {
    [Phase::Preparing, Phase::Building, Phase::Uploading]
        .map(|phase| HeldAttempt {
            attempt: attempt(),
            phase,
        })
        .into()
}

fn held_bytes(count: u64) -> Held {
    Held {
        count,
        bytes: 1_000 * count,
    }
}

fn packages() -> Vec<PackageHistory> {
    let duration_ms = SpreadView {
        samples: 12,
        p50: 60_000,
        p90: 90_000,
        max: 95_000,
    };
    vec![PackageHistory {
        package: "hello".into(),
        system: "x86_64-linux".into(),
        updated_at_ms: 1_760_000_000_000,
        duration_ms: Some(duration_ms),
        memory: Some(SpreadView {
            p50: 1 << 29,
            p90: 1 << 30,
            max: 1 << 31,
            ..duration_ms
        }),
    }]
}

fn limits() -> Limits {
    Limits {
        timeout_ms: 3_600_000,
        max_silent_ms: 600_000,
    }
}

fn item() -> ItemView {
    ItemView {
        path: OUT.into(),
        nar_hash: HASH.into(),
        nar_size: 226_560,
        references: vec![LIB.into(), OUT.into()],
        deriver: Some(DRV.into()),
        file_size: 56_012,
        file_hash: HASH.into(),
        upstream: false,
    }
}

fn refusal() -> Refusal {
    Refusal {
        fault: Fault::Conflict,
        message: "the attempt has ended".into(),
        retry_after_ms: Some(1500),
    }
}

/// Every message, by the name of its file.
#[must_use]
pub fn messages() -> Vec<Message> {
    let output = ReportedOutput {
        name: "out".into(),
        file_hash: HASH.into(),
        file_size: 56_012,
        nar_hash: HASH.into(),
        nar_size: 226_560,
        references: vec![LIB.into()],
    };
    let failed = |kind| {
        let message = "the builder said so".into();
        (
            attempt(),
            Report::Failed {
                kind,
                message,
                log_size: 77,
                usage: usage(),
            },
        )
    };
    let setup_failed = Report::SetupFailed {
        missing: vec![LIB.into()],
        problem: "missing-inputs".into(),
        message: "an input is missing".into(),
    };
    vec![
        Message::Hello {
            versions: (1, 3),
            software: "grange-agent 0.1.0".into(),
        },
        Message::Exchange(ExchangeRequest {
            session: session(),
            revision: 42,
            capacity: Capacity {
                systems: vec!["x86_64-linux".into(), "i686-linux".into()],
                tags: tags(),
                exclusive: vec!["year".into()],
                parallel: 4,
                ahead: 2,
                resources: resources(),
                admission: Admission {
                    max_load: Some(800),
                    max_cpu_pressure: None,
                    max_memory_pressure: Some(1_000),
                    max_io_pressure: None,
                    min_disk_free: Some(1 << 30),
                },
                speed: 2_500,
            },
            load: 125,
            health: health(),
            attempts: held(),
            wait_ms: 30_000,
        }),
        Message::Job { attempt: attempt() },
        Message::AppendLog {
            attempt: attempt(),
            offset: 4096,
        },
        Message::LogOffset { attempt: attempt() },
        Message::UploadOffset {
            attempt: attempt(),
            output: "out".into(),
            file_hash: HASH.into(),
        },
        Message::AppendUpload {
            attempt: attempt(),
            output: "out".into(),
            file_hash: HASH.into(),
            offset: 1 << 40,
        },
        Message::Report {
            reports: vec![
                (
                    attempt(),
                    Report::Succeeded {
                        outputs: vec![output],
                        log_size: 77,
                        usage: usage(),
                    },
                ),
                failed(FailureKind::Exit(1)),
                failed(FailureKind::Signal(9)),
                failed(FailureKind::Timeout),
                failed(FailureKind::Silence),
                failed(FailureKind::MissingOutput("lib".into())),
                failed(FailureKind::HashMismatch),
                failed(FailureKind::ForbiddenReference),
                failed(FailureKind::BadOutput),
                failed(FailureKind::Other),
                (attempt(), setup_failed),
            ],
        },
        Message::Lacking {
            derivations: vec![DRV.into()],
            items: vec![LIB.into()],
        },
        Message::Obtain {
            derivations: vec![DRV.into()],
            items: vec![LIB.into()],
        },
        Message::PutDerivations,
        Message::PutItems {
            items: vec![ItemUpload {
                path: LIB.into(),
                nar_size: 1000,
                references: vec![LIB.into()],
            }],
        },
        Message::Submit {
            builds: vec![BuildRequest {
                id: build(),
                derivation: DRV.into(),
                priority: -5,
                tags: tags(),
                requires: tags(),
                timeout_ms: Some(60_000),
                max_silent_ms: Some(30_000),
                again: true,
                no_inputs: true,
                resources: resources(),
            }],
        },
        Message::Cancel {
            builds: vec![build()],
        },
        Message::Build { build: build() },
        Message::Builds {
            filter: BuildFilter {
                state: Some(BuildState::FailedDependency),
                tags: tags(),
                system: Some("x86_64-linux".into()),
            },
            after: Some(build()),
            limit: 1000,
        },
        Message::Counts,
        Message::Held,
        Message::Prune(PruneRequest {
            older_than_ms: Some(86_400_000),
            tags: tags(),
            keep_tags: vec![("branch".into(), "master".into())],
            roots: vec![OUT.into()],
            max_bytes: Some(1 << 40),
            delete: true,
        }),
        Message::Sweep { delete: true },
        Message::Etas {
            builds: vec![build()],
        },
        Message::History {
            after: Some(("hello".into(), "x86_64-linux".into())),
            limit: 1_000,
        },
        Message::ImportHistory {
            packages: packages(),
        },
        Message::Facts {
            after: Some(FactNumber(7)),
            wait_ms: 30_000,
            limit: 10_000,
        },
        Message::Log {
            build: build(),
            attempt: Some(attempt()),
            offset: 10,
            wait_ms: 1000,
        },
        Message::Items {
            paths: vec![OUT.into()],
            closure: true,
        },
        Message::FetchItem {
            path: OUT.into(),
            offset: 65_536,
        },
        Message::Derivations {
            paths: vec![DRV.into()],
        },
        Message::Agents,
        Message::Agent { agent: agent() },
        Message::NewAgent {
            agent: agent(),
            name: "a \"good\" one, größer".into(),
        },
        Message::NewPassword { agent: agent() },
        Message::RevokePasswords { agent: agent() },
        Message::PauseAgent {
            agent: agent(),
            paused: true,
        },
        Message::TagAgent {
            agent: agent(),
            tags: tags(),
        },
        Message::DeleteAgent { agent: agent() },
    ]
}

fn summary() -> BuildSummary {
    BuildSummary {
        id: build(),
        derivation: DRV.into(),
        state: BuildState::Succeeded,
        system: "x86_64-linux".into(),
        priority: -5,
        tags: tags(),
        implicit: true,
        submitted_at_ms: 1_760_000_000_000,
        ended_at_ms: Some(1_760_000_100_000),
    }
}

fn build_view() -> BuildView {
    BuildView {
        summary: summary(),
        derived_priority: 5,
        requires: tags(),
        resources: resources(),
        predicted: Some(PredictionView {
            duration_p50_ms: 60_000,
            duration_p90_ms: 90_000,
            memory_p90: Some(1 << 30),
            samples: 12,
            source: "package".into(),
        }),
        timeout_ms: 3_600_000,
        max_silent_ms: 600_000,
        reasons: vec!["nobody offers year=2019".into()],
        remedies: vec!["an agent that offers it".into()],
        roots: vec![RootView {
            derivation: DRV.into(),
            build: build(),
            state: BuildState::Ready,
            problems: vec!["no agent is present".into()],
        }],
        waits_for: vec![LIB.into()],
        attempts: vec![AttemptView {
            id: attempt(),
            agent: agent(),
            assigned_at_ms: 1_760_000_000_000,
            ended_at_ms: Some(1_760_000_100_000),
            state: "succeeded".into(),
            message: "all is well".into(),
            has_log: true,
            usage: usage(),
            choice: "the agent had room, and nothing that it can take came first".into(),
        }],
        setup_failures: vec![SetupFailureView {
            agent: agent(),
            message: "no room in the store".into(),
            at_ms: 1_760_000_000_000,
        }],
        causes: vec![CauseView {
            derivation: DRV.into(),
            build: build(),
            reason: "failed".into(),
            root_derivation: DRV.into(),
            root: build(),
        }],
        outputs: vec![OutputView {
            name: "out".into(),
            path: OUT.into(),
            available: true,
            nar_hash: Some(HASH.into()),
            canonical: Some(true),
        }],
    }
}

fn resources() -> Resources {
    Resources::from([(MEMORY.to_owned(), 16 << 30), ("licence".to_owned(), 1)])
}

fn health() -> Health {
    Health {
        cpu_pressure: 659,
        memory_pressure: 25,
        io_pressure: 0,
        disk_free: Some(1 << 40),
    }
}

fn usage() -> Usage {
    Usage {
        build_ms: Some(90_000),
        peak_memory: Some(1 << 30),
    }
}

fn agent_view() -> AgentView {
    AgentView {
        id: agent(),
        name: "bayfront".into(),
        paused: true,
        present: true,
        operator_tags: tags(),
        tags: tags(),
        exclusive: vec!["year".into()],
        systems: vec!["x86_64-linux".into()],
        parallel: 4,
        load: 125,
        health: health(),
        resources: resources(),
        used: resources(),
        pressure: vec!["its load is 8.01, and may be 8.00".into()],
        attempts: held(),
        seen_at_ms: Some(1_760_000_000_000),
        passwords: 2,
    }
}

/// Every answer.
#[must_use]
pub fn answers() -> Vec<Answer> {
    let warnings = vec!["nobody offers year=2019".into()];
    vec![
        Answer::Done,
        Answer::Hello {
            version: 1,
            software: "grange 0.1.0".into(),
            store_dirs: vec!["/gnu/store".into()],
        },
        Answer::Exchange(ExchangeAnswer {
            assign: vec![Assignment {
                attempt: attempt(),
                derivation: DRV.into(),
                builds: vec![build()],
                limits: limits(),
            }],
            drop: vec![attempt()],
            lease_ms: 60_000,
        }),
        Answer::Job(Box::new(JobAnswer {
            derivation: DRV.into(),
            text: "RGVyaXZlKFtd".into(),
            inputs: vec![item()],
            missing: vec![LIB.into()],
        })),
        Answer::Offset(u64::MAX),
        Answer::Reported(vec![None, Some(refusal())]),
        Answer::Lacking {
            derivations: vec![DRV.into()],
            items: vec![LIB.into()],
        },
        Answer::Submitted(vec![
            Submission::Accepted {
                state: BuildState::Ready,
                warnings,
            },
            Submission::Refused(refusal()),
        ]),
        Answer::Build(Box::new(build_view())),
        Answer::Builds {
            builds: vec![summary()],
            more: true,
        },
        Answer::Counts(Counts {
            builds: BuildState::ALL
                .map(|state| (state.as_str().to_owned(), 3))
                .into(),
            agents_present: 1,
            agents: 2,
        }),
        Answer::Facts {
            facts: vec![FactView {
                number: FactNumber(8),
                at_ms: 1_760_000_000_000,
                what: "ended".into(),
                builds: vec![build()],
                path: Some(DRV.into()),
                agent: Some(agent()),
                state: Some(BuildState::Canceled),
            }],
            last: FactNumber(9),
        },
        Answer::Log {
            attempt: Some(attempt()),
            offset: 10,
            length: 20,
            complete: true,
        },
        Answer::Items(vec![
            Some(item()),
            None,
            Some(ItemView {
                upstream: true,
                ..item()
            }),
        ]),
        Answer::Item(item()),
        Answer::Derivations,
        Answer::Agents(vec![agent_view()]),
        Answer::Agent(Box::new(agent_view())),
        Answer::Password("correct-horse".into()),
        Answer::Held(HeldView {
            outputs: held_bytes(1),
            sources: held_bytes(2),
            logs: held_bytes(3),
            unreferenced: held_bytes(4),
        }),
        Answer::Pruned(PruneView {
            goes: held_bytes(1),
            stays: held_bytes(2),
            deleted: true,
            items: vec![PrunedItem {
                path: OUT.into(),
                bytes: 3,
                used_at_ms: Some(1_760_000_000_000),
            }],
        }),
        Answer::Swept(SweepView {
            blobs: 5,
            unreferenced: held_bytes(1),
            deleted: true,
        }),
        Answer::Etas(vec![EtaView {
            build: build(),
            derivation: Some(DRV.into()),
            state: Some(BuildState::Blocked),
            p50_ms: Some(90_000),
            p90_ms: Some(210_000),
            reason: "not all that it waits for was looked at".into(),
        }]),
        Answer::History {
            packages: packages(),
            more: true,
        },
    ]
}

/// Every fault, as a refusal.
#[must_use]
pub fn refusals() -> Vec<Refusal> {
    use Fault::{Busy, Caller, Conflict, Forbidden, NotFound, Operator, Peer, Us};
    let faults = [
        Caller, Forbidden, NotFound, Conflict, Operator, Peer, Busy, Us,
    ];
    let refusal = |fault| Refusal { fault, ..refusal() };
    faults.map(refusal).into()
}
