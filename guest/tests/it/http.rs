//! What the relay is for: an agent's HTTP, with long polls, and uploads at the same time.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use crate::relay::Rig;
use crate::rig::soon;

/// Bytes of an upload: several windows.
const UPLOAD: usize = 1_500_000;

/// Serves one connection: `/poll` waits for a permit of `polls`, all else says how many bytes were uploaded.
fn serve(outside: UnixStream, polls: &Arc<Semaphore>) -> tokio::task::JoinHandle<()> {
    let polls = Arc::clone(polls);
    let service = service_fn(move |request: Request<Incoming>| {
        let polls = Arc::clone(&polls);
        async move {
            let text = if request.uri().path() == "/poll" {
                // A client that has gone takes none.
                polls.acquire().await.unwrap().forget();
                "polled".to_owned()
            } else {
                let body = request.into_body().collect().await;
                body.map_or_else(|_| "cut".into(), |body| body.to_bytes().len().to_string())
            };
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        }
    });
    tokio::spawn(async move {
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        // How it ends is not asked for: clients go away.
        drop(
            server
                .serve_connection(TokioIo::new(outside), service)
                .await,
        );
    })
}

fn request(path: &str, length: usize) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(vec![7; length]));
    Request::post(path)
        .header("host", "farm")
        .body(body)
        .unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn one_connection_of_http_2_carries_a_long_poll_and_uploads() {
    let rig = Rig::new();
    let polls = Arc::new(Semaphore::new(0));
    let (inside, outside) = rig.connect().await;
    serve(outside, &polls);
    let client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut send, connection) = client.handshake(TokioIo::new(inside)).await.unwrap();
    tokio::spawn(connection);
    let poll = tokio::spawn(send.send_request(request("/poll", 0)));
    let uploads: Vec<_> = (0..8)
        .map(|_| tokio::spawn(send.send_request(request("/upload", UPLOAD))))
        .collect();
    for upload in uploads {
        let response = soon(upload).await.unwrap().unwrap();
        assert_eq!(text(response).await, UPLOAD.to_string());
    }
    assert!(!poll.is_finished());
    polls.add_permits(1);
    assert_eq!(text(soon(poll).await.unwrap().unwrap()).await, "polled");
}

#[tokio::test]
async fn connections_of_http_1_are_cut_alone() {
    let rig = Rig::new();
    let polls = Arc::new(Semaphore::new(0));
    let mut served = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (inside, outside) = rig.connect().await;
        served.push(serve(outside, &polls));
        let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(inside))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let poll = tokio::spawn(async move { send.send_request(request("/poll", 0)).await });
        clients.push((connection, poll));
    }
    // The client of the first goes away, in the middle of its poll: its server learns of it.
    let (connection, poll) = clients.remove(0);
    connection.abort();
    poll.abort();
    soon(served.remove(0)).await.unwrap();
    // The server of the second: so does its client.
    served.remove(0).abort();
    let (_, poll) = clients.remove(0);
    assert!(soon(poll).await.unwrap().is_err());
    // The third is answered, and by then nobody else has taken its permit.
    polls.add_permits(1);
    let (_, poll) = clients.remove(0);
    assert_eq!(text(soon(poll).await.unwrap().unwrap()).await, "polled");
}
