//! What packages have taken, told and taken over.

use grange_coordinator::client::ClientError;
use grange_interfaces::Fault;
use grange_interfaces::message::{Message, PackageHistory, SpreadView};
use grange_model::{BuildId, BuildState};

use crate::farm::{Farm, derivation};

fn package(name: &str, samples: u32) -> PackageHistory {
    PackageHistory {
        package: name.to_owned(),
        system: "x86_64-linux".to_owned(),
        updated_at_ms: 7,
        duration_ms: Some(SpreadView {
            samples,
            p50: 60_000,
            p90: 60_000,
            max: 60_000,
        }),
        memory: None,
    }
}

#[tokio::test]
async fn what_is_imported_is_exported_page_by_page() {
    let farm = Farm::new().await;
    let packages: Vec<_> = (0..1_500)
        .map(|at| package(&format!("p{at:04}"), 2))
        .collect();
    farm.client.import_history(&packages).await.unwrap();
    let (first, more) = farm.client.history(None).await.unwrap();
    assert_eq!((first.len(), more), (1_000, true));
    let after = (first[999].package.clone(), first[999].system.clone());
    let (rest, more) = farm.client.history(Some(after)).await.unwrap();
    assert!(!more);
    assert_eq!([first, rest].concat(), packages);
    let again = [package("p0001", 9)];
    farm.client.import_history(&again).await.unwrap();
    let (first, _) = farm.client.history(None).await.unwrap();
    assert_eq!(first[0], packages[0]);
    assert_eq!(first[1], again[0]);
}

#[tokio::test]
async fn nothing_is_taken_of_a_message_with_what_cannot_be() {
    let farm = Farm::new().await;
    let long = package(&"x".repeat(256), 1);
    for bad in [package("bad", 0), long] {
        let packages = vec![package("good", 1), bad];
        let error = farm.client.import_history(&packages).await.unwrap_err();
        let ClientError::Refused(refusal) = error else {
            panic!("{error}");
        };
        assert_eq!(refusal.fault, Fault::Caller);
    }
    let packages = (0..1_001).map(|at| package(&at.to_string(), 1)).collect();
    let message = Message::ImportHistory { packages };
    let many = farm
        .endpoint
        .call(&grange_interfaces::Peer::Local, message, None);
    assert_eq!(many.await.err().unwrap().fault, Fault::Caller);
    assert_eq!(farm.client.history(None).await.unwrap().0, []);
}

#[tokio::test]
async fn an_unfinished_build_says_what_it_will_take() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let predicted = farm.client.build(build).await.unwrap().predicted.unwrap();
    assert_eq!((predicted.samples, &*predicted.source), (0, "config"));
    let one = package("one", 4);
    farm.client.import_history(&[one]).await.unwrap();
    let predicted = farm.client.build(build).await.unwrap().predicted.unwrap();
    assert_eq!((predicted.samples, &*predicted.source), (4, "package"));
    assert_eq!(predicted.duration_p90_ms, 60_000);
    assert_eq!(predicted.memory_p90, None);
}

#[tokio::test]
async fn builds_say_when_they_will_have_ended() {
    let farm = Farm::new().await;
    let package = |name| package(name, 16);
    let packages = [package("one"), package("two")];
    farm.client.import_history(&packages).await.unwrap();
    let (one, two) = (derivation("one", &[]), derivation("two", &[]));
    let builds = farm.submit(&[&one, &two]).await;
    let unknown = BuildId(uuid::Uuid::from_u128(7));
    let all = [&builds[..], &[unknown]].concat();
    let etas = farm.client.etas(&all).await.unwrap();
    assert_eq!(
        (etas[0].p50_ms, &*etas[0].reason),
        (None, "no agent is present")
    );
    assert_eq!((etas[2].state, etas[2].p50_ms), (None, None));
    assert!(
        etas[2].reason.contains("not among the unfinished"),
        "{:?}",
        etas[2]
    );

    let mut agent = farm.agent().await;
    agent.take().await;
    let etas = farm.client.etas(&all).await.unwrap();
    assert_eq!(etas[0].state, Some(BuildState::Running));
    assert_eq!(etas[1].derivation, Some(two.path.to_string()));
    let (first, second) = (etas[0].p50_ms.unwrap(), etas[1].p50_ms.unwrap());
    assert!((50_000..=60_000).contains(&first), "{first}");
    // There is room for it, and it has only to be asked for.
    assert!((59_000..=61_000).contains(&second), "{second}");
    assert!(etas[1].p90_ms.unwrap() >= second);

    let builds = vec![unknown; 101];
    let many = farm.endpoint.call(
        &grange_interfaces::Peer::Local,
        Message::Etas { builds },
        None,
    );
    assert_eq!(many.await.err().unwrap().fault, Fault::Caller);
    // The client sends several messages.
    assert_eq!(farm.client.etas(&[unknown; 101]).await.unwrap().len(), 101);
}
