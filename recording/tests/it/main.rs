//! Recordings: what is written is read, and what is none is refused.

mod files;
mod lines;

use grange_model::{AgentId, AttemptId, BuildId, BuildState, Digest, FactNumber, Tags};
use grange_model::{Term, Timestamp};
use grange_recording::*;
use uuid::Uuid;

pub(crate) fn at(fact: u64) -> Cursor {
    Cursor {
        fact: FactNumber(fact),
        at: Timestamp(1_000 * fact),
    }
}

pub(crate) fn line(fact: u64, event: Event) -> Line {
    Line {
        cursor: at(fact),
        event,
    }
}

/// One of each.
pub(crate) fn events() -> Vec<Event> {
    let build = BuildId(Uuid::from_u128(7));
    let agent = AgentId(Uuid::from_u128(8));
    let derivation = Derivation {
        id: DerivationName(Digest([9; 20])),
        name: "hello-2.12".into(),
        system: "x86_64-linux".into(),
        outputs: vec!["out".into(), "doc".into()],
        inputs: vec![DerivationName(Digest([0x5a; 20]))],
    };
    let attempt = Attempt {
        id: AttemptName(AttemptId {
            term: Term(1),
            slot: 2,
            generation: 3,
        }),
        agent,
        assigned: Timestamp(5),
        ended: Timestamp(6),
        how: Ending::SetupFailed,
    };
    vec![
        Event::Mark,
        Event::Agent(Agent {
            id: agent,
            name: "rosa \"\n".into(),
            systems: vec!["x86_64-linux".into()],
            tags: Tags::from([("room".into(), "cellar".into())]),
            parallel: 2,
            ahead: 1,
        }),
        Event::Submitted(Box::new(Submitted {
            build,
            derivation,
            implicit: true,
            priority: -3,
            tags: Tags::from([("submitter".into(), "ünal".into())]),
            requires: Tags::new(),
        })),
        Event::Ended(Ended {
            build,
            state: BuildState::FailedDependency,
            attempts: vec![attempt],
        }),
        Event::Gap(Gap {
            after: FactNumber(3),
        }),
    ]
}

pub(crate) fn recording() -> (Vec<u8>, Vec<Line>) {
    let lines: Vec<Line> = (1..)
        .zip(events())
        .map(|(fact, event)| line(fact, event))
        .collect();
    let mut text = header(at(0));
    for line in &lines {
        text.extend(line.clone().print());
    }
    (text, lines)
}

pub(crate) fn read(text: &[u8]) -> Result<Vec<Line>, ReadError> {
    Lines::new(text)?.collect()
}
