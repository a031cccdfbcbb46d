//! How much is looked through for narinfos.

use std::pin::pin;

use futures::future::{join_all, select};
use futures::{FutureExt as _, future::Either};
use grange_derivation::StorePath;
use grange_signatures::guix;
use http::StatusCode;

use crate::farm::{Farm, get, store};

fn path(name: &str, digest: u8) -> StorePath {
    StorePath::new(&store(), [digest; 20], name).unwrap()
}

fn key() -> guix::SecretKey {
    guix::SecretKey::generate(&[42; 32])
}

#[tokio::test]
async fn a_closure_that_is_not_whole_is_not_looked_through_again_and_again() {
    let mut farm = Farm::new();
    let [library, other, missing, program] =
        [("library", 1), ("other", 2), ("missing", 3), ("program", 4)].map(|(a, b)| path(a, b));
    farm.file(&library, b"library", &[&missing], None).await;
    farm.file(&other, b"other", &[], None).await;
    farm.file(&program, b"program", &[&library, &other], None)
        .await;
    let site = farm.site(&[], key()).await;
    let url = format!("/guix/{}.narinfo", program.hash_part());
    let first = get(&site, &url, &[]).await;
    assert_eq!(first.status, StatusCode::NOT_FOUND);
    let walked = farm.watched.several_read();
    assert!(walked > 0);
    for _ in 0..10 {
        let again = get(&site, &url, &[]).await;
        assert_eq!(
            (again.status, again.body),
            (first.status, first.body.clone())
        );
    }
    assert_eq!(farm.watched.several_read(), walked);
    // What it lacked has come: nobody waits until that is forgotten.
    farm.file(&missing, b"missing", &[], None).await;
    farm.commit().await;
    assert_eq!(get(&site, &url, &[]).await.status, StatusCode::OK);
    assert!(farm.watched.several_read() > walked);
}

#[tokio::test(start_paused = true)]
async fn few_closures_are_looked_through_at_once() {
    let mut farm = Farm::new();
    let (library, other) = (path("library", 1), path("other", 2));
    farm.file(&library, b"library", &[], None).await;
    farm.file(&other, b"other", &[], None).await;
    let programs = [3, 4, 5, 6, 7].map(|digest| path("program", digest));
    for program in &programs {
        farm.file(program, b"program", &[&library, &other], None)
            .await;
    }
    let site = farm.site(&[], key()).await;
    let urls = programs.map(|path| format!("/guix/{}.narinfo", path.hash_part()));
    let shut = farm.watched.several.write().await;
    let walks = pin!(join_all(urls[..4].iter().map(|url| get(&site, url, &[]))));
    let fifth = get(&site, &urls[4], &[]).boxed_local();
    let Either::Right((busy, walks)) = select(walks, fifth).await else {
        panic!("they did not wait")
    };
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(busy.headers.contains_key("retry-after"));
    // What is not looked through is not waited for.
    let url = format!("/guix/{}.narinfo", library.hash_part());
    assert_eq!(get(&site, &url, &[]).await.status, StatusCode::OK);
    drop(shut);
    for answer in walks.await {
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(get(&site, &urls[4], &[]).await.status, StatusCode::OK);
    // All but the first four found what these had seen.
    assert_eq!(farm.watched.several_read(), 2 * 4);
}
