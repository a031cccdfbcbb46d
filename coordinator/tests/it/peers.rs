//! Who may say what.

use std::sync::Arc;

use grange_coordinator::TokenHash;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, Peer, Secret};
use grange_model::{AgentId, BuildId};

use crate::farm::{Farm, Setup, derivation};

fn secret(text: &str) -> Secret {
    Secret(text.to_owned())
}

/// A message of each kind that only one side may send.
fn operators(agent: AgentId) -> Vec<Message> {
    let build = BuildId(uuid::Uuid::nil());
    vec![
        Message::Lacking {
            derivations: Vec::new(),
            items: Vec::new(),
        },
        Message::PutDerivations,
        Message::PutItems { items: Vec::new() },
        Message::Submit { builds: Vec::new() },
        Message::Cancel { builds: Vec::new() },
        Message::Build { build },
        Message::Builds {
            filter: Default::default(),
            after: None,
            limit: 1,
        },
        Message::Counts,
        Message::Facts {
            after: None,
            wait_ms: 0,
            limit: 1,
        },
        Message::Log {
            build,
            attempt: None,
            offset: 0,
            wait_ms: 0,
        },
        Message::Agents,
        Message::Agent { agent },
        Message::NewAgent {
            agent,
            name: String::new(),
        },
        Message::NewPassword { agent },
        Message::RevokePasswords { agent },
        Message::PauseAgent {
            agent,
            paused: true,
        },
        Message::TagAgent {
            agent,
            tags: Default::default(),
        },
        Message::DeleteAgent { agent },
        Message::Held,
        Message::Prune(Default::default()),
        Message::Sweep { delete: true },
        Message::Etas { builds: Vec::new() },
        Message::History {
            after: None,
            limit: 1,
        },
        Message::ImportHistory {
            packages: Vec::new(),
        },
    ]
}

#[tokio::test]
async fn agents_say_what_agents_may_say_and_operators_the_rest() {
    let farm = Farm::new().await;
    let mut agent = farm.agent().await;
    for message in operators(agent.id) {
        let refusal = agent.call(message.clone(), None).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::Forbidden, "{message:?}");
    }
    assert!(!farm.client.agent(agent.id).await.unwrap().paused);
    farm.submit(&[&derivation("one", &[])]).await;
    let attempt = agent.take().await.attempt;
    let hash = crate::agent::sha256(b"");
    let messages = [
        Message::Job { attempt },
        Message::LogOffset { attempt },
        Message::AppendLog { attempt, offset: 0 },
        Message::UploadOffset {
            attempt,
            output: "out".into(),
            file_hash: hash.clone(),
        },
        Message::AppendUpload {
            attempt,
            output: "out".into(),
            file_hash: hash,
            offset: 0,
        },
        Message::Report {
            reports: Vec::new(),
        },
    ];
    for message in messages {
        let refusal = farm.call(message.clone(), None).await.err().unwrap();
        assert_eq!(refusal.fault, Fault::Forbidden, "{message:?}");
    }
}

#[tokio::test]
async fn who_says_no_name_is_told_only_the_version() {
    let farm = Farm::new().await;
    let agent = AgentId(uuid::Uuid::nil());
    let read = [Message::Items {
        paths: Vec::new(),
        closure: false,
    }];
    for message in operators(agent).into_iter().chain(read) {
        let refusal = farm.endpoint.call(&Peer::Anonymous, message, None).await;
        assert_eq!(refusal.err().unwrap().fault, Fault::Forbidden);
    }
    let hello = |versions| Message::Hello {
        versions,
        software: "test".into(),
    };
    let ask = |versions| farm.endpoint.call(&Peer::Anonymous, hello(versions), None);
    let (answer, _) = ask((0, 7)).await.unwrap();
    assert!(
        matches!(answer, Answer::Hello { version: 3, .. }),
        "{answer:?}"
    );
    let (answer, _) = ask((0, 1)).await.unwrap();
    assert!(
        matches!(answer, Answer::Hello { version: 1, .. }),
        "{answer:?}"
    );
    for versions in [(0, 0), (4, 5), (4, 1)] {
        let refusal = ask(versions).await.err().unwrap();
        assert_eq!(refusal.fault, Fault::Operator);
        assert!(
            refusal.message.contains("speaks versions 1 to 3"),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn wrong_and_revoked_passwords_let_nobody_in() {
    let farm = Farm::new().await;
    let mut agent = farm.agent().await;
    agent.exchange(&[], 0).await.unwrap();
    let good = agent.peer.clone();
    let other = farm.client.new_password(agent.id).await.unwrap();
    let id = agent.id;
    let nobody = AgentId(uuid::Uuid::nil());
    let second = farm.agent().await;
    let Peer::Agent {
        password: of_second,
        ..
    } = second.peer.clone()
    else {
        panic!("an agent");
    };
    let wrong = [
        Peer::Agent {
            id,
            password: secret(""),
        },
        Peer::Agent {
            id,
            password: secret("wrong"),
        },
        Peer::Agent {
            id,
            password: Secret(format!("{}x", other.0)),
        },
        Peer::Agent {
            id,
            password: of_second,
        },
        Peer::Agent {
            id: nobody,
            password: other.clone(),
        },
        // SHA-256 of nothing that is known, where nobody is compared with.
        Peer::Agent {
            id: nobody,
            password: secret("\0"),
        },
        Peer::Token(other.clone()),
        Peer::Token(secret("")),
    ];
    for peer in wrong {
        agent.peer = peer.clone();
        let refusal = agent.exchange(&[], 0).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::Forbidden, "{peer:?}");
    }
    for peer in [
        good.clone(),
        Peer::Agent {
            id,
            password: other.clone(),
        },
    ] {
        agent.peer = peer;
        agent.exchange(&[], 0).await.unwrap();
    }
    assert_eq!(farm.client.agent(id).await.unwrap().passwords, 2);
    farm.client.revoke_passwords(id).await.unwrap();
    for peer in [
        good,
        Peer::Agent {
            id,
            password: other,
        },
    ] {
        agent.peer = peer;
        let refusal = agent.exchange(&[], 0).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::Forbidden);
    }
    let password = farm.client.new_password(id).await.unwrap();
    agent.peer = Peer::Agent { id, password };
    agent.exchange(&[], 0).await.unwrap();
    farm.client.delete_agent(id).await.unwrap();
    let refusal = agent.exchange(&[], 0).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Forbidden);
}

#[tokio::test]
async fn tokens_make_operators() {
    let mut setup = Setup::default();
    setup.config.admin_tokens = vec![TokenHash::of("one"), TokenHash::of("two")];
    let farm = setup.start().await;
    let counts = |token: &str| {
        let peer = Peer::Token(secret(token));
        let endpoint = Arc::clone(&farm.endpoint);
        async move { endpoint.call(&peer, Message::Counts, None).await.map(drop) }
    };
    counts("one").await.unwrap();
    counts("two").await.unwrap();
    for wrong in ["", "on", "onee", "three"] {
        let refusal = counts(wrong).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::Forbidden);
    }
}

#[tokio::test]
async fn the_later_session_of_an_agent_counts() {
    let farm = Farm::new().await;
    let mut first = farm.agent().await;
    let mut second = crate::agent::Agent::new(
        Arc::clone(&farm.endpoint),
        first.id,
        match &first.peer {
            Peer::Agent { password, .. } => password.clone(),
            other => panic!("{other:?}"),
        },
    );
    first.exchange(&[], 0).await.unwrap();
    let (waiting, _) = tokio::join!(first.exchange(&[], 20_000), second.exchange(&[], 0));
    assert_eq!(waiting.unwrap_err().fault, Fault::Conflict);
    assert_eq!(
        first.exchange(&[], 0).await.unwrap_err().fault,
        Fault::Conflict
    );
    second.exchange(&[], 0).await.unwrap();
}
