//! What operators send again.

use grange_interfaces::message::{Answer, Message, PruneRequest};
use grange_interfaces::{Peer, Secret};
use grange_model::{AgentId, Tags};
use uuid::Uuid;

use super::farm::{Farm, Made, derivation};
use crate::conformance::EndpointBench;

/// "The same id again is the same agent."
pub async fn an_agent_made_again_is_one(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let agent = AgentId(Uuid::now_v7());
    let name = "builder".to_owned();
    let made = farm.twice(&Peer::Local, Message::NewAgent { agent, name }, None);
    assert_eq!(made.await, [Answer::Done, Answer::Done]);
    match farm.ask(Message::Agents).await {
        Answer::Agents(agents) => {
            let ids: Vec<_> = agents.iter().map(|agent| agent.id).collect();
            assert_eq!(ids, [agent]);
        }
        other => panic!("{other:?}"),
    }
}

/// A password that nobody has seen is no harm: the next one is another, and does not end it.
pub async fn a_password_made_again_is_another(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let agent = farm.agent().await;
    let Peer::Agent { id, .. } = agent.peer else {
        return;
    };
    let made = farm.twice(&Peer::Local, Message::NewPassword { agent: id }, None);
    for answer in made.await {
        let Answer::Password(password) = answer else {
            panic!("{answer:?}");
        };
        let password = Secret(password);
        let peer = Peer::Agent { id, password };
        let paths = Vec::new();
        let asked = Message::Derivations { paths };
        let asked = farm.try_ask(&peer, asked, None).await;
        assert_eq!(asked, Ok(Answer::Derivations));
    }
}

/// Paused is paused, tags are what they were said to be, and passwords that are revoked are.
pub async fn what_is_said_of_an_agent_again_is_so(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let played = farm.agent().await;
    let Peer::Agent { id: agent, .. } = played.peer else {
        return;
    };
    let tags = Tags::from([("rack".to_owned(), "7".to_owned())]);
    let said = [
        Message::PauseAgent {
            agent,
            paused: true,
        },
        Message::TagAgent {
            agent,
            tags: tags.clone(),
        },
        Message::RevokePasswords { agent },
    ];
    for message in said {
        let said = farm.twice(&Peer::Local, message, None).await;
        assert_eq!(said, [Answer::Done, Answer::Done]);
    }
    match farm.ask(Message::Agent { agent }).await {
        Answer::Agent(view) => {
            assert!(view.paused, "{view:?}");
            assert_eq!((view.operator_tags, view.passwords), (tags, 0));
        }
        other => panic!("{other:?}"),
    }
}

/// What is gone is gone.
pub async fn an_agent_deleted_again_is_gone(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let played = farm.agent().await;
    let Peer::Agent { id: agent, .. } = played.peer else {
        return;
    };
    let deleted = farm.twice(&Peer::Local, Message::DeleteAgent { agent }, None);
    assert_eq!(deleted.await, [Answer::Done, Answer::Done]);
    assert_eq!(farm.ask(Message::Agents).await, Answer::Agents(Vec::new()));
}

/// Whoever did not hear what went asks again, and nothing is left to go.
pub async fn what_is_pruned_again_is_gone(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    farm.submit(&derivation("one")).await;
    let (agent, assigned) = farm.assigned().await;
    let made = Made::file(b"an output");
    farm.succeed(&agent, assigned.attempt, &made).await;
    let prune = Message::Prune(PruneRequest {
        max_bytes: Some(0),
        delete: true,
        ..PruneRequest::default()
    });
    let pruned = farm.twice(&Peer::Local, prune, None).await;
    let counts = pruned.map(|answer| match answer {
        Answer::Pruned(view) => view.goes.count,
        other => panic!("{other:?}"),
    });
    assert_eq!(counts, [1, 0]);
    for answer in farm
        .twice(&Peer::Local, Message::Sweep { delete: true }, None)
        .await
    {
        assert!(matches!(answer, Answer::Swept(_)), "{answer:?}");
    }
}
