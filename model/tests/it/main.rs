//! Records and facts as bytes: what they look like, and that nothing else is taken for one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use grange_model::{
    AgentId, AgentRecord, AttemptId, AttemptOutcome, AttemptRecord, AttemptSummary, Batch, BlobId,
    BuildId, BuildRecord, BuildSpec, BuildState, BuiltOutput, Cause, Change, Choice, CodecError,
    DeadLetter, DerivationRecord, Digest, Fact, FactNumber, FailureKind, FailureRecord,
    FinishedBuild, HistoryRecord, HookRecord, InputRef, Item, ItemRecord, Key, Limits, LostCause,
    LostReason, MEMORY, NarHash, Occasion, OutputRef, PasswordHash, Record, Resources,
    SetupFailure, SetupProblem, Spread, Tags, Term, Timestamp, UpstreamRecord, Usage, decode,
    encode,
};
use uuid::Uuid;

fn item(byte: u8, name: &str) -> Item {
    Item {
        digest: Digest([byte; 20]),
        name: name.to_owned(),
    }
}

fn build_id(number: u128) -> BuildId {
    BuildId(Uuid::from_u128(number))
}

fn attempt_id() -> AttemptId {
    AttemptId {
        term: Term(3),
        slot: 7,
        generation: 300,
    }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn choice(occasion: Occasion) -> Choice {
    Choice {
        ready_at: Timestamp(1_600_000_000_000),
        priority: -4,
        occasion,
        others: 200,
    }
}

fn setup_failure() -> SetupFailure {
    SetupFailure {
        agent: AgentId(Uuid::from_u128(1)),
        attempt: attempt_id(),
        problem: SetupProblem::MissingInputs(vec![Digest([9; 20])]),
        message: "inputs are missing".to_owned(),
        at: Timestamp(1_700_000_000_000),
    }
}

fn build() -> BuildRecord {
    BuildRecord {
        slot: 5,
        spec: BuildSpec {
            id: build_id(2),
            derivation: Digest([1; 20]),
            priority: -4,
            tags: tags(&[("branch", "master")]),
            requires: tags(&[("feature:kvm", "yes")]),
            limits: Limits {
                timeout_ms: 86_400_000,
                max_silent_ms: 7_200_000,
            },
            again: true,
            inputs: true,
            cause: Some(Cause {
                hook: "missing-inputs".to_owned(),
                depth: 2,
            }),
            resources: Resources::from([(MEMORY.to_owned(), 1 << 33), ("licence".to_owned(), 2)]),
        },
        derivation: item(1, "hello-2.12.2.drv"),
        implicit: false,
        rebuild: true,
        submitted_at: Timestamp(1_700_000_000_000),
        setup_failures: vec![setup_failure()],
    }
}

fn finished() -> FinishedBuild {
    let summary = |outcome| AttemptSummary {
        id: attempt_id(),
        agent: AgentId(Uuid::from_u128(1)),
        assigned_at: Timestamp(1),
        ended_at: Timestamp(2),
        outcome,
        log: Some(BlobId([4; 32])),
        usage: Usage {
            build_ms: Some(60_000),
            peak_memory: Some(1 << 30),
        },
        choice: choice(Occasion::Ready { agents: 3 }),
    };
    let failed = AttemptOutcome::Failed {
        kind: FailureKind::Exit(3),
        message: "exit 3".to_owned(),
    };
    FinishedBuild {
        build: build(),
        system: "x86_64-linux".to_owned(),
        state: BuildState::FailedDependency,
        ended_at: Timestamp(1_700_000_000_001),
        attempts: vec![
            summary(AttemptOutcome::SetupFailed(setup_failure())),
            summary(failed),
        ],
        outputs: vec![BuiltOutput {
            name: "out".to_owned(),
            item: item(2, "hello-2.12.2"),
            nar_hash: NarHash([5; 32]),
            nar_size: 1 << 40,
            canonical: true,
        }],
        causes: vec![LostCause {
            output: Digest([6; 20]),
            derivation: item(7, "a.drv"),
            reason: LostReason::FailedDependency,
            build: build_id(8),
            root: build_id(9),
            root_derivation: item(8, "b.drv"),
        }],
        reason: "its input a.drv needs what failed".to_owned(),
    }
}

/// One of each record, by the name of its golden file.
fn records() -> BTreeMap<&'static str, Record> {
    let derivation = DerivationRecord {
        item: item(1, "hello-2.12.2.drv"),
        store: "/gnu/store".to_owned(),
        system: "x86_64-linux".to_owned(),
        outputs: vec![OutputRef {
            name: "out".to_owned(),
            item: item(2, "hello-2.12.2"),
        }],
        inputs: vec![InputRef {
            derivation: Digest([7; 20]),
            output: Digest([6; 20]),
        }],
        sources: vec![item(3, "builder.sh")],
        hash: [8; 32],
        features: vec!["kvm".to_owned()],
    };
    let failure = FailureRecord {
        derivation: item(1, "hello-2.12.2.drv"),
        build: build_id(2),
        reason: LostReason::Failed,
        kind: Some(FailureKind::MissingOutput("lib".to_owned())),
        message: "output lib was not made".to_owned(),
        at: Timestamp(1),
        expires_at: Timestamp(2),
    };
    let hook = HookRecord {
        name: "missing-inputs".to_owned(),
        cursor: FactNumber(1_000_000),
        dead_letters: vec![DeadLetter {
            fact: FactNumber(12),
            build: Some(build_id(2)),
            message: "no".to_owned(),
            at: Timestamp(3),
        }],
    };
    let agent = AgentRecord {
        id: AgentId(Uuid::from_u128(1)),
        name: "builder-1".to_owned(),
        tags: tags(&[("room", "4")]),
        passwords: vec![PasswordHash([1; 32])],
        paused: true,
        created_at: Timestamp(4),
    };
    let attempt = AttemptRecord {
        id: attempt_id(),
        agent: AgentId(Uuid::from_u128(1)),
        derivation: Digest([1; 20]),
        again: Some(build_id(2)),
        assigned_at: Timestamp(5),
        choice: choice(Occasion::Preempted {
            dropped: attempt_id(),
        }),
    };
    let available = ItemRecord {
        item: item(2, "hello-2.12.2"),
        store: "/gnu/store".to_owned(),
        nar_hash: NarHash([5; 32]),
        nar_size: 123_456,
        references: vec![item(2, "hello-2.12.2")],
        deriver: Some(item(1, "hello-2.12.2.drv")),
        blob: BlobId([4; 32]),
        blob_size: 12_345,
    };
    let history = HistoryRecord {
        package: "hello".to_owned(),
        system: "x86_64-linux".to_owned(),
        updated_at: Timestamp(1_700_000_000_000),
        duration: Spread {
            samples: 7,
            mean: 1_040_000,
            variance: 1 << 30,
            max: 90_000,
        },
        memory: Spread::default(),
    };
    let text = Record::DerivationText {
        derivation: Digest([1; 20]),
        text: b"Derive(\xff)".to_vec(),
    };
    BTreeMap::from([
        ("agent", Record::Agent(agent)),
        ("attempt", Record::Attempt(attempt)),
        ("build", Record::Build(build())),
        ("derivation", Record::Derivation(derivation)),
        ("derivation-text", text),
        ("failure", Record::Failure(failure)),
        ("finished", Record::Finished(finished())),
        ("history", Record::History(history)),
        ("hook", Record::Hook(hook)),
        ("item", Record::Item(available)),
        (
            "upstream",
            Record::Upstream(UpstreamRecord {
                item: item(6, "hello-2.12"),
                store: "/gnu/store".to_owned(),
                nar_hash: NarHash([7; 32]),
                nar_size: 300,
                references: vec![item(6, "hello-2.12")],
                deriver: Some(item(1, "hello-2.12.drv")),
            }),
        ),
    ])
}

fn facts() -> Vec<Fact> {
    let (build, derivation) = (build_id(2), Digest([1; 20]));
    let (agent, attempt) = (AgentId(Uuid::from_u128(1)), attempt_id());
    vec![
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
            failure: setup_failure(),
        },
        Fact::Expired {
            attempt,
            derivation,
            agent,
        },
        Fact::Ended {
            build,
            derivation,
            state: BuildState::Succeeded,
        },
        Fact::Reopened { build, derivation },
        Fact::Available {
            output: Digest([6; 20]),
        },
        Fact::Lost {
            output: Digest([6; 20]),
        },
        Fact::AgentChanged { agent },
        Fact::Pruned {
            output: Digest([3; 20]),
        },
        Fact::GoneUpstream {
            output: Digest([4; 20]),
        },
        Fact::OutOfMemory {
            attempt,
            derivation,
            agent,
            memory: 1 << 33,
        },
        Fact::Preempted {
            attempt,
            derivation,
            agent,
        },
    ]
}

/// Compares with a golden file, or writes it if `UPDATE_EXPECT=1`.
fn expect_golden(name: &str, bytes: &[u8]) {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").expect("writing to a string succeeds");
        }
        text.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/golden")
        .join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("there is a golden file");
    assert_eq!(
        text, golden,
        "{name} is not encoded as it was before: data that was written cannot be read"
    );
}

#[test]
fn records_look_as_they_always_did() {
    for (name, record) in records() {
        let bytes = encode(&record).expect("records can be encoded");
        expect_golden(&format!("record-{name}.hex"), &bytes);
        assert_eq!(decode::<Record>(&bytes), Ok(record));
    }
}

#[test]
fn facts_look_as_they_always_did() {
    let bytes = encode(&facts()).expect("facts can be encoded");
    expect_golden("facts.hex", &bytes);
    assert_eq!(decode::<Vec<Fact>>(&bytes), Ok(facts()));
}

/// Those that version 2 had.
fn records_of_2() -> BTreeMap<&'static str, Record> {
    let mut records = records();
    records.remove("history");
    records
}

/// The record without what came with version 3.
fn before_3(record: Record) -> Record {
    let spec = |build: &mut BuildRecord| build.spec.resources.clear();
    match record {
        Record::Build(mut build) => {
            spec(&mut build);
            Record::Build(build)
        }
        Record::Attempt(attempt) => Record::Attempt(AttemptRecord {
            choice: Choice::default(),
            ..attempt
        }),
        Record::Finished(mut finished) => {
            spec(&mut finished.build);
            for attempt in &mut finished.attempts {
                attempt.usage = Usage::default();
                attempt.choice = Choice::default();
            }
            Record::Finished(finished)
        }
        other => other,
    }
}

#[test]
fn what_version_1_wrote_is_read() {
    let mut records = records();
    records.remove("upstream");
    records.remove("history");
    for (name, record) in records {
        let bytes = golden(&format!("v1/record-{name}.hex"));
        assert_eq!(bytes[0], 1);
        assert_eq!(decode::<Record>(&bytes), Ok(before_3(record)), "{name}");
    }
    let mut facts = facts();
    facts.truncate(9);
    assert_eq!(decode::<Vec<Fact>>(&golden("v1/facts.hex")), Ok(facts));
}

#[test]
fn what_version_2_wrote_is_read() {
    for (name, record) in records_of_2() {
        let bytes = golden(&format!("v2/record-{name}.hex"));
        assert_eq!(bytes[0], 2);
        assert_eq!(decode::<Record>(&bytes), Ok(before_3(record)), "{name}");
        for length in 0..bytes.len() {
            let cut = decode::<Record>(&bytes[..length]);
            assert!(cut.is_err(), "{name} cut to {length} bytes");
        }
    }
    let mut facts = facts();
    facts.truncate(11);
    assert_eq!(decode::<Vec<Fact>>(&golden("v2/facts.hex")), Ok(facts));
}

#[test]
fn what_version_2_wrote_is_read_inside_of_what_others_keep() {
    let changes = records_of_2().into_values().map(Change::Put).collect();
    let batch = Batch {
        changes,
        ..Batch::default()
    };
    // As version 2 wrote it: the same, but for the fields that it did not have.
    let mut older = vec![2];
    older.extend(
        encode(&Timestamp::default())
            .expect("it can be encoded")
            .split_off(1),
    );
    older.extend(
        encode(&FactNumber::default())
            .expect("it can be encoded")
            .split_off(1),
    );
    older.push(0);
    older.push(u8::try_from(batch.changes.len()).expect("they are few"));
    for name in records_of_2().keys() {
        older.push(0);
        older.extend(&golden(&format!("v2/record-{name}.hex"))[1..]);
    }
    let read = decode::<Batch>(&older).expect("it can be read");
    let records = records_of_2().into_values().map(before_3).map(Change::Put);
    assert_eq!(read.changes, records.collect::<Vec<_>>());
}

/// The bytes of a golden file.
fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden");
    let text = std::fs::read_to_string(path.join(name)).expect("there is a golden file");
    let digits: Vec<_> = text.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16);
    let bytes = digits.chunks(2).map(byte);
    bytes.collect::<Result<_, _>>().expect("it is base16")
}

#[test]
fn a_damaged_record_is_an_error_and_no_panic() {
    for (name, record) in records() {
        let bytes = encode(&record).expect("records can be encoded");
        for length in 0..bytes.len() {
            assert!(
                decode::<Record>(&bytes[..length]).is_err(),
                "{name} cut to {length} bytes"
            );
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            // Another value or an error: both are fine, a panic is not.
            let _ = decode::<Record>(&other);
        }
    }
}

#[test]
fn what_follows_a_record_is_an_error() {
    let mut bytes = encode(&records()["agent"]).expect("records can be encoded");
    bytes.push(0);
    assert_eq!(decode::<Record>(&bytes), Err(CodecError::Trailing(1)));
}

#[test]
fn a_newer_version_is_named() {
    let mut bytes = encode(&records()["agent"]).expect("records can be encoded");
    bytes[0] = 9;
    assert_eq!(decode::<Record>(&bytes), Err(CodecError::NewerVersion(9)));
    assert_eq!(decode::<Record>(&[]), Err(CodecError::Empty));
}

#[test]
fn a_record_knows_its_key() {
    let records = records();
    assert_eq!(records["build"].key(), Key::Build(5));
    assert_eq!(records["attempt"].key(), Key::Attempt(7));
    assert_eq!(records["finished"].key(), Key::Finished(build_id(2)));
    assert_eq!(records["failure"].key(), Key::Failure(Digest([1; 20])));
    assert_eq!(
        records["derivation-text"].key(),
        Key::DerivationText(Digest([1; 20]))
    );
}

#[test]
fn attempts_are_read_as_they_are_written() {
    let id = attempt_id();
    assert_eq!(id.to_string(), "3.7.300");
    assert_eq!(id.to_string().parse(), Ok(id));
    for wrong in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1..3", "-1.2.3"] {
        assert!(wrong.parse::<AttemptId>().is_err(), "{wrong:?}");
    }
}
