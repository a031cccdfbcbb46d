//! Files that are known by what they contain.

use std::time::Duration;

use grange_derivation::{Hash, paths};
use grange_interfaces::{Body, Site as _, SiteBody, bytes_of};
use grange_signatures::guix;
use grange_substitutes::Substitutes;
use http::request::Parts;
use http::{Request, StatusCode};
use tokio::time::advance;

use crate::farm::{Farm, get, store};

async fn ask(site: &Substitutes, head: &Parts) -> Body {
    let response = site.get(head).await;
    assert_eq!(response.status(), StatusCode::OK);
    match response.into_body() {
        SiteBody::Stream(body) => body,
        _ => panic!("it was not unpacked"),
    }
}

/// Answers, with hours that pass as fast as they can.
async fn get_at_last(site: &Substitutes, url: &str) -> crate::farm::Answer {
    let asked = get(site, url, &[]);
    tokio::pin!(asked);
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return answer,
            () = advance(Duration::from_secs(1)) => {}
        }
    }
}

/// Threads are few: whoever takes nothing holds one for a minute and no longer.
#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_cut_off() {
    let mut farm = Farm::new();
    let contents = vec![5; 1 << 20];
    let hash = Hash::sha256(&contents);
    let source = paths::fixed_output_path(&store(), "source", false, &hash).unwrap();
    farm.file(&source, &contents, &[], None).await;
    let site = farm.site(&[], guix::SecretKey::generate(&[42; 32])).await;
    let url = format!("/guix/file/source/sha256/{}", hash.to_base32());
    let (head, ()) = Request::get(&url).body(()).unwrap().into_parts();
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(ask(&site, &head).await);
    }
    let busy = get_at_last(&site, &url).await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.header("retry-after"), "30");
    // Who only wants to know that it is there needs no thread.
    let (only_head, ()) = Request::head(&url).body(()).unwrap().into_parts();
    assert_eq!(site.get(&only_head).await.status(), StatusCode::OK);
    // One that goes makes room.
    drop(held.pop());
    let answer = loop {
        let answer = get_at_last(&site, &url).await;
        if answer.status == StatusCode::OK {
            break answer;
        }
    };
    assert_eq!(answer.body, contents);
    // All that are left are cut off: their bodies do not end as if they were whole.
    held.push(ask(&site, &head).await);
    while get_at_last(&site, &url).await.status != StatusCode::OK {}
    let mut broken = 0;
    for body in held {
        broken += usize::from(bytes_of(body, 1 << 21).await.is_err());
    }
    assert!(broken > 0);
}
