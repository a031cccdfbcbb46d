//! Agreeing on a version of the protocol, and others who answer.

use grange_interfaces::Fault;
use grange_interfaces::message::Message;
use grange_transport_http::{ClientConfig, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fake::Fake;
use crate::raw::{post, refusal, status, talk};
use crate::support::{BOTH, Running, ask, client};

#[tokio::test]
async fn a_version_that_is_not_spoken_is_refused_with_those_that_are() {
    let (server, _) = Running::plain().await;
    for (version, update) in [
        (0, "update the caller"),
        (4, "update the coordinator"),
        (99, "update the coordinator"),
    ] {
        let response = talk(
            &server.authority(),
            &post(&format!("/v{version}/call"), "", "whatever it is"),
        )
        .await;
        assert_eq!(status(&response), 404);
        assert!(
            response.contains("\r\ngrange-versions: 1-3\r\n"),
            "{response}"
        );
        let refusal = refusal(&response);
        assert_eq!(refusal.fault, Fault::Operator);
        for part in [
            format!("version {version} "),
            "1 to 3".into(),
            update.into(),
        ] {
            assert!(refusal.message.contains(&part), "{refusal}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn hello_finds_a_common_version_or_says_who_is_to_be_updated() {
    let (server, _) = Running::plain().await;
    let hello = |versions: &str| {
        // With a field that only a newer agent knows.
        post(
            "/hello",
            "",
            &format!(
                "{{\"hello\":{{\"versions\":{versions},\"software\":\"x\",\"newer\":[1]}}}}\n"
            ),
        )
    };
    for versions in ["[1,1]", "[1,5]", "[0,1]"] {
        let response = talk(&server.authority(), &hello(versions)).await;
        assert_eq!(status(&response), 200, "{response}");
        assert!(response.ends_with("{\"ok\":{\"hello\":{\"version\":1,\"software\":\"fake 1\",\"store_dirs\":[\"/gnu/store\"]}}}\n"));
    }
    for (versions, fault, part) in [
        (
            "[4,6]",
            Fault::Operator,
            "the caller 4 to 6: update the coordinator",
        ),
        (
            "[0,0]",
            Fault::Operator,
            "the caller 0 to 0: update the caller",
        ),
        ("[3,1]", Fault::Caller, "versions 3 to 1 are none"),
    ] {
        let refusal = refusal(&talk(&server.authority(), &hello(versions)).await);
        assert_eq!(refusal.fault, fault);
        assert!(refusal.message.contains(part), "{refusal}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_coordinator_that_speaks_another_version_is_not_called() {
    for http in BOTH {
        let fake = Fake::speaking(4);
        let server = Running::on_loopback(&fake, ServerConfig::default()).await;
        let client = server.client(http);
        for calls in 1..3 {
            let refusal = ask(&client, Message::Counts).await.unwrap_err();
            assert_eq!(refusal.fault, Fault::Operator);
            assert!(
                refusal.message.contains("version 4") && refusal.message.contains("fake 1"),
                "{refusal}"
            );
            assert_eq!(
                fake.calls.load(std::sync::atomic::Ordering::SeqCst),
                calls,
                "nothing but hello"
            );
        }
        server.stop().await;
    }
}

/// A server that gives these answers (status and headers, body), and returns what paths were asked.
async fn scripted(answers: Vec<(&'static str, &'static str)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut paths = Vec::new();
        for (head, body) in answers {
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if let Some(path) = line.strip_prefix("POST ") {
                    paths.push(path.split(' ').next().unwrap().to_owned());
                }
                if let Some(digits) = line.strip_prefix("content-length: ") {
                    length = digits.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            let response = format!(
                "HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(response.as_bytes()).await.unwrap();
        }
        paths
    };
    (url, tokio::spawn(script))
}

const OURS: &str = "200 OK\r\ncontent-type: application/vnd.grange.v1";
const HELLO: &str = "{\"ok\":{\"hello\":{\"version\":1,\"software\":\"s\",\"store_dirs\":[]}}}\n";
const COUNTS: &str = "{\"ok\":{\"counts\":{\"builds\":{},\"agents_present\":0,\"agents\":0}}}\n";

#[tokio::test]
async fn a_coordinator_that_was_replaced_is_greeted_again() {
    let (url, script) = scripted(vec![
        (OURS, HELLO),
        (
            "404 Not Found\r\ncontent-type: application/vnd.grange.v1\r\ngrange-versions: 4-5",
            "{\"refused\":{\"fault\":\"operator\",\"message\":\"not spoken here\"}}\n",
        ),
        (OURS, HELLO),
        (OURS, COUNTS),
    ])
    .await;
    let client = client(&url, ClientConfig::default());
    assert_eq!(
        ask(&client, Message::Counts).await.unwrap_err().message,
        "not spoken here"
    );
    ask(&client, Message::Counts).await.unwrap();
    assert_eq!(
        script.await.unwrap(),
        ["/hello", "/v1/call", "/hello", "/v1/call"]
    );
}

/// What a newer version has, an older coordinator is not asked: it could not read the question.
#[tokio::test]
async fn each_version_has_its_place_and_its_messages() {
    const HELLO_2: &str =
        "{\"ok\":{\"hello\":{\"version\":2,\"software\":\"s\",\"store_dirs\":[]}}}\n";
    const SWEPT: &str = "{\"ok\":{\"swept\":{\"blobs\":1,\"unreferenced\":{\"count\":0,\"bytes\":0},\"deleted\":false}}}\n";
    let (url, script) = scripted(vec![(OURS, HELLO_2), (OURS, SWEPT), (OURS, COUNTS)]).await;
    let newer = client(&url, ClientConfig::default());
    let sweep = || Message::Sweep { delete: false };
    ask(&newer, sweep()).await.unwrap();
    ask(&newer, Message::Counts).await.unwrap();
    assert_eq!(script.await.unwrap(), ["/hello", "/v2/call", "/v2/call"]);

    let (url, script) = scripted(vec![(OURS, HELLO), (OURS, COUNTS)]).await;
    let older = client(&url, ClientConfig::default());
    let refusal = ask(&older, sweep()).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Operator);
    let part = "speaks version 1 of the protocol, and this needs version 2: update the coordinator";
    assert!(refusal.message.contains(part), "{refusal}");
    ask(&older, Message::Counts).await.unwrap();
    assert_eq!(script.await.unwrap(), ["/hello", "/v1/call"]);
}

#[tokio::test]
async fn others_who_answer_are_told_from_a_coordinator() {
    let html = "<html>\n  <h1>It works!</h1>\n</html>";
    for (head, body, fault, part) in [
        (
            "200 OK\r\ncontent-type: text/html",
            html,
            Fault::Operator,
            "answered 200 OK: <html> <h1>It works!</h1> </html>",
        ),
        (
            "302 Found\r\nlocation: /login",
            "",
            Fault::Operator,
            "answered 302 Found",
        ),
        (
            "502 Bad Gateway",
            "no upstream",
            Fault::Busy,
            "answered 502 Bad Gateway: no upstream",
        ),
        (
            OURS,
            "{\"ok\":{\"unheard-of\":1}}\n",
            Fault::Peer,
            "unknown variant `unheard-of`",
        ),
        (OURS, "", Fault::Peer, "cannot be read"),
        (
            OURS,
            "{\"ok\":\"done\"}\n",
            Fault::Peer,
            "answered hello with something else",
        ),
        (
            OURS,
            "{\"ok\":\"done\"}\nmore",
            Fault::Peer,
            "which has no body",
        ),
    ] {
        let (url, _script) = scripted(vec![(head, body)]).await;
        let refusal = ask(&client(&url, ClientConfig::default()), Message::Counts)
            .await
            .unwrap_err();
        assert_eq!(refusal.fault, fault, "{refusal}");
        assert!(
            refusal.message.contains(part) && refusal.message.contains(&url),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let (url, _script) = scripted(vec![(OURS, HELLO)]).await;
    let mut config = ClientConfig::default();
    config.answer_bytes = 10;
    let refusal = ask(&client(&url, config), Message::Counts)
        .await
        .unwrap_err();
    assert_eq!(refusal.fault, Fault::Peer);
    assert!(refusal.message.contains("more than 10 bytes"), "{refusal}");
}
