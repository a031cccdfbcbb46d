//! Why a build stands where it stands, and what would get it going, in words.

use grange_coordinator_core::{Blocked, Queued, Root, Short, Why};
use grange_interfaces::message::RootView;
use grange_model::{BuildState, Choice, DISK, MEMORY, Occasion, Timestamp};

use crate::convert::path_text;

/// How many agents are named in words.
const NAMED: usize = 3;

/// Why it stands where it stands, a sentence each: the first says most.
pub(super) fn reasons(why: &Why) -> Vec<String> {
    match why {
        Why::Blocked(blocked) => blocked_reasons(blocked),
        Why::Queued(queued) => queued_reasons(queued),
        Why::NobodyOffers { missing } => missing.clone(),
        Why::BackedOff { until } => vec![format!(
            "every agent that could take it had a setup failure; tried again at {} ms",
            until.0
        )],
        Why::Running => vec!["an agent tries it".to_owned()],
        _ => Vec::new(),
    }
}

/// What would get it going, a sentence each.
pub(super) fn remedies(why: &Why) -> Vec<String> {
    match why {
        Why::Blocked(blocked) if blocked.roots.iter().any(|root| !root.problems.is_empty()) => {
            vec!["whatever lets the builds go on that are named below with a problem".to_owned()]
        }
        Why::Queued(queued) => queued_remedies(queued),
        Why::NobodyOffers { .. } => {
            vec!["an agent that offers it, or a build that requires less".to_owned()]
        }
        Why::BackedOff { .. } => {
            vec!["another agent that could take it, or an end of the setup failures".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// What it waits for that waits for nothing else.
pub(super) fn roots(why: &Why, store: &str) -> Vec<RootView> {
    let Why::Blocked(blocked) = why else {
        return Vec::new();
    };
    let view = |root: &Root| RootView {
        derivation: path_text(store, &root.derivation),
        build: root.build,
        state: root.state,
        problems: root.problems.clone(),
    };
    blocked.roots.iter().map(view).collect()
}

fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {many}")
    }
}

fn blocked_reasons(blocked: &Blocked) -> Vec<String> {
    let inputs = u64::from(blocked.inputs);
    let mut reasons = vec![count(inputs, "input is expected", "inputs are expected")];
    let Blocked {
        blocked: waiting,
        ready,
        running,
        complete,
        ..
    } = blocked;
    let more = if *complete { "" } else { "at least " };
    let all = waiting + ready + running;
    reasons.push(format!(
        "{more}{} first: {running} running, {ready} ready, {waiting} waiting for others",
        count(
            all,
            "derivation has to be built",
            "derivations have to be built"
        ),
    ));
    let stuck = blocked.roots.iter();
    let stuck = stuck
        .filter(|root| root.state == BuildState::Ready)
        .find(|root| !root.problems.is_empty());
    if let Some(root) = stuck {
        let problems = root.problems.join("; ");
        reasons.push(format!("{}: {problems}", root.derivation.name));
    }
    reasons
}

fn queued_reasons(queued: &Queued) -> Vec<String> {
    let Queued {
        fitting,
        paused,
        full,
        avoided,
        kept,
        ..
    } = queued;
    let mut reasons = vec![count(
        *fitting,
        "agent could take it",
        "agents could take it",
    )];
    let mut say = |number: u64, one: &str, many: &str| {
        if number > 0 {
            reasons.push(count(number, one, many));
        }
    };
    say(*full, "of them has no room", "of them have no room");
    say(*paused, "of them is paused", "of them are paused");
    say(
        *avoided,
        "of them had a setup failure of it a moment ago",
        "of them had a setup failure of it a moment ago",
    );
    say(
        *kept,
        "of them is kept free for something larger that comes first",
        "of them are kept free for something larger that comes first",
    );
    for (agent, words) in queued.pressed.iter().take(NAMED) {
        reasons.push(format!(
            "agent {agent} takes nothing new: {}",
            words.join(", ")
        ));
    }
    for short in queued.short.iter().take(NAMED) {
        reasons.push(short_of(short));
    }
    if let Some(agent) = queued.reserved {
        reasons.push(format!(
            "agent {agent} is kept free for the first of its queue"
        ));
    }
    if let (Some(group), 1..) = (&queued.group, queued.groups_before) {
        reasons.push(format!(
            "{} had less of the agents than `{group}`, and come first",
            count(queued.groups_before, "group has", "groups have")
        ));
    }
    let more = if queued.counted { "" } else { "at least " };
    reasons.push(match queued.before {
        0 => "it is the first in its queue".to_owned(),
        before => format!(
            "{more}{} before it in its queue",
            count(before, "build comes", "builds come")
        ),
    });
    reasons
}

fn queued_remedies(queued: &Queued) -> Vec<String> {
    let mut remedies = Vec::new();
    if queued.paused > 0 {
        remedies.push("resuming a paused agent".to_owned());
    }
    if !queued.pressed.is_empty() {
        remedies.push("an end of the pressure on an agent".to_owned());
    }
    if queued.full > 0 || !queued.short.is_empty() {
        remedies.push("the end of a build on one of these agents, or another agent".to_owned());
    }
    if let (Some(first), 1..) = (queued.first_priority, queued.before) {
        remedies.push(format!(
            "a priority above {first} would put it first in its queue"
        ));
    }
    remedies
}

fn short_of(short: &Short) -> String {
    let Short {
        agent,
        resource,
        needs,
        left,
    } = short;
    let unit = match resource.as_str() {
        MEMORY | DISK => " bytes",
        _ => "",
    };
    format!("agent {agent} has {left}{unit} of {resource} left, and it needs {needs}{unit}")
}

/// Why an attempt was given to its agent, and why then.
pub(super) fn choice(choice: &Choice, assigned_at: Timestamp) -> String {
    let occasion = match choice.occasion {
        Occasion::Room => "the agent had room, and nothing that it can take came first".to_owned(),
        Occasion::Ready { agents: 1 } => "it became ready, and this agent had room".to_owned(),
        Occasion::Ready { agents } => {
            format!("it became ready, and of {agents} agents with room this one was chosen")
        }
        Occasion::Reserved => "the agent had been kept free for it".to_owned(),
        Occasion::Preempted { dropped } => format!("attempt {dropped} had to go for it"),
        _ => return String::new(),
    };
    let waited = assigned_at.since(choice.ready_at);
    format!(
        "{occasion}; ready for {:.1} s, priority {}, {} others of its queue were ready",
        waited.as_secs_f64(),
        choice.priority,
        choice.others
    )
}

#[cfg(test)]
mod tests {
    use grange_model::{AgentId, AttemptId, Term};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_queued_build_says_what_would_help() {
        let queued = Queued {
            before: 7,
            counted: false,
            first_priority: Some(3),
            fitting: 4,
            paused: 1,
            full: 2,
            short: vec![Short {
                agent: AgentId(Uuid::nil()),
                resource: MEMORY.to_owned(),
                needs: 10,
                left: 4,
            }],
            ..Queued::default()
        };
        let why = Why::Queued(Box::new(queued));
        let agent = Uuid::nil();
        assert_eq!(
            reasons(&why),
            [
                "4 agents could take it".to_owned(),
                "2 of them have no room".to_owned(),
                "1 of them is paused".to_owned(),
                format!("agent {agent} has 4 bytes of memory left, and it needs 10 bytes"),
                "at least 7 builds come before it in its queue".to_owned(),
            ]
        );
        assert_eq!(
            remedies(&why),
            [
                "resuming a paused agent",
                "the end of a build on one of these agents, or another agent",
                "a priority above 3 would put it first in its queue",
            ]
        );
    }

    #[test]
    fn a_choice_is_a_sentence() {
        let dropped = AttemptId {
            term: Term(1),
            slot: 2,
            generation: 3,
        };
        let chosen = Choice {
            ready_at: Timestamp(1_000),
            priority: 5,
            occasion: Occasion::Preempted { dropped },
            others: 9,
        };
        let words = choice(&chosen, Timestamp(3_500));
        let right = format!(
            "attempt {dropped} had to go for it; ready for 2.5 s, priority 5, 9 others of its queue were ready"
        );
        assert_eq!(words, right);
        assert_eq!(choice(&Choice::default(), Timestamp(0)), "");
    }
}
