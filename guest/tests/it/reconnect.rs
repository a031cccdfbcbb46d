//! Hosts that come and go.

use grange_guest::client::{ClientError, Guest};
use grange_guest::protocol::{Exec, Frame, Kind, NONCE};
use tokio::io::AsyncWriteExt;

use crate::rig::{ByHand, Process, deadline, gone, soon};

/// A host by hand that has started a program.
async fn host_with(process: &Process, program: &str, argument: &str) -> (ByHand, u32) {
    let mut host = ByHand::host(process.port()).await;
    let exec = format!(
        r#"{{"exec":{{"program":"{program}","arguments":["{argument}"],"environment":{{"PATH":"/bin:/usr/bin"}},"directory":"/","user":null,"stdin":true}}}}"#
    );
    host.send(&Frame::new(Kind::Open, 1, exec.into())).await;
    assert_eq!(soon(host.next()).await.unwrap().kind, Kind::Welcome);
    let started = soon(host.next()).await.unwrap();
    assert_eq!(started.kind, Kind::Progress);
    let text = String::from_utf8(started.payload).unwrap();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (host, digits.parse().unwrap())
}

#[tokio::test]
async fn the_next_host_ends_what_the_one_before_began() {
    let process = Process::serving();
    let (host, pid) = host_with(&process, "sleep", "1000").await;
    drop(host);
    let guest = process.guest().await;
    gone(pid).await;
    soon(guest.ping()).await.unwrap();
}

#[tokio::test]
async fn a_host_that_died_in_the_middle_leaves_no_trace() {
    // Each dies at another byte of a frame to a program's input.
    for cut in [1, 4, 15, 16, 17, 900, 1016] {
        let process = Process::serving();
        let (mut host, pid) = host_with(&process, "cat", "-").await;
        let mut frame = Vec::new();
        Frame::data(1, 0, vec![b'x'; 1000])
            .encode(&mut frame)
            .unwrap();
        host.port.write_all(&frame[..cut]).await.unwrap();
        drop(host);
        let guest = process.guest().await;
        gone(pid).await;
        let running = guest.run(Exec::new("echo").arg("here")).await.unwrap();
        let captured = soon(running.output(100)).await.unwrap();
        assert_eq!(captured.stdout, b"here\n", "cut at {cut}");
    }
}

#[tokio::test]
async fn output_for_a_host_that_died_is_skipped_by_the_next() {
    let process = Process::serving();
    let (host, _) = host_with(&process, "yes", "y").await;
    // A window of output is on its way, more than the socket holds.
    drop(host);
    let guest = process.guest().await;
    soon(guest.ping()).await.unwrap();
}

#[tokio::test]
async fn the_guest_may_come_later_or_not_at_all() {
    let (ours, theirs) = tokio::io::duplex(100);
    let soon_over = std::time::Instant::now() + std::time::Duration::from_millis(20);
    let late = Guest::connect(ours, soon_over).await;
    assert!(matches!(late, Err(ClientError::TimedOut)), "{late:?}");
    drop(theirs);

    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = tokio::net::UnixStream::from_std(ours).unwrap();
    let connecting = tokio::spawn(Guest::connect(ours, deadline()));
    tokio::task::yield_now().await;
    let spare = std::os::unix::net::UnixStream::pair().unwrap();
    let process = Process::start(&["--serve", "-"], (spare.0, theirs));
    let guest = soon(connecting).await.unwrap().unwrap();
    soon(guest.ping()).await.unwrap();
    drop(process);
    let why = soon(guest.closed()).await;
    assert!(
        matches!(why, ClientError::Eof | ClientError::Io(_)),
        "{why:?}"
    );
    assert!(guest.ping().await.is_err());
}

#[tokio::test]
async fn the_versions_meet() {
    let process = Process::serving();
    let mut host = ByHand::host_of_version(process.port(), 77).await;
    let welcome = soon(host.next()).await.unwrap();
    let text = String::from_utf8_lossy(&welcome.payload[NONCE..]).into_owned();
    assert!(text.starts_with(r#"{"version":2,"boot_id":""#), "{text}");
}
