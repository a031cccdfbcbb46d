//! What clients send again.

use grange_derivation::paths::source_path;
use grange_derivation::{StoreDir, nar};
use grange_interfaces::Peer;
use grange_interfaces::message::{Answer, BuildFilter, ItemUpload, Message};
use grange_model::BuildState;
use sha2::{Digest, Sha256};

use super::farm::{Farm, accepted, derivation, framed, request};
use crate::conformance::EndpointBench;

/// Derivations that are there are there.
pub async fn derivations_may_be_put_again(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let made = derivation("one");
    let body = framed(&made);
    let put = farm.twice(&Peer::Local, Message::PutDerivations, Some(&body));
    assert_eq!(put.await, [Answer::Done, Answer::Done]);
    let lacking = Message::Lacking {
        derivations: vec![made.path.to_string()],
        items: Vec::new(),
    };
    let nothing = Answer::Lacking {
        derivations: Vec::new(),
        items: Vec::new(),
    };
    assert_eq!(farm.ask(lacking).await, nothing);
}

/// Items that are there are there.
pub async fn items_may_be_put_again(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let nar = nar::of_file(b"a source");
    let hash = Sha256::digest(&nar).into();
    let path = source_path(&StoreDir::guix(), "source", [], false, &hash);
    let path = path.expect("the name is one").to_string();
    let items = vec![ItemUpload {
        path: path.clone(),
        nar_size: nar.len() as u64,
        references: Vec::new(),
    }];
    let put = farm.twice(&Peer::Local, Message::PutItems { items }, Some(&nar));
    assert_eq!(put.await, [Answer::Done, Answer::Done]);
    let paths = vec![path];
    let closure = false;
    match farm.ask(Message::Items { paths, closure }).await {
        Answer::Items(found) => assert!(matches!(&found[..], [Some(_)]), "{found:?}"),
        other => panic!("{other:?}"),
    }
}

/// "The same request sent twice is one build."
pub async fn a_submission_again_is_one_build(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let made = derivation("one");
    farm.put(&made).await;
    let builds = vec![request(&made)];
    let id = builds[0].id;
    let submitted = farm.twice(&Peer::Local, Message::Submit { builds }, None);
    submitted.await.iter().for_each(accepted);
    let all = Message::Builds {
        filter: BuildFilter::default(),
        after: None,
        limit: 10,
    };
    match farm.ask(all).await {
        Answer::Builds { builds, .. } => {
            let ids: Vec<_> = builds.iter().map(|build| build.id).collect();
            assert_eq!(ids, [id]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(farm.count("submitted").await, 1);
}

/// What was canceled is canceled.
pub async fn a_cancellation_again_is_one_end(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let id = farm.submit(&derivation("one")).await;
    let builds = vec![id];
    let canceled = farm.twice(&Peer::Local, Message::Cancel { builds }, None);
    canceled.await.iter().for_each(accepted);
    assert_eq!(farm.build(id).await.summary.state, BuildState::Canceled);
    assert_eq!(farm.count("ended").await, 1);
}
