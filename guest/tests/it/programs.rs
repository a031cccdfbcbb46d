//! Programs: input, output, ends.

use grange_guest::client::{ClientError, Guest};
use grange_guest::protocol::{Exec, Exit, Turn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Process, gone, soon};

fn shell(script: &str) -> Exec {
    Exec::new("sh").arg("-c").arg(script)
}

async fn output(guest: &Guest, exec: Exec) -> (Exit, String, String) {
    let captured = soon(guest.run(exec).await.unwrap().output(1 << 20))
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (captured.exit, text(captured.stdout), text(captured.stderr))
}

#[tokio::test]
async fn a_program_gets_what_it_was_given_and_nothing_else() {
    let process = Process::serving();
    let guest = process.guest().await;
    assert_eq!(guest.welcome().version, 2);
    let exec = shell(
        "pwd; echo $FARM $0 $1; env | sort | cut -d= -f1 | grep -v _; wc -c; echo no >&2; exit 7",
    )
    .args(["zero", "one two"])
    .env("FARM", "grange")
    .directory("/tmp");
    let expected = "/tmp\ngrange zero one two\nFARM\nPATH\nPWD\n0\n";
    let found = output(&guest, exec).await;
    assert_eq!(found, (Exit::Code(7), expected.into(), "no\n".into()));
}

#[tokio::test]
async fn input_comes_back_through_the_program() {
    let process = Process::serving();
    let guest = process.guest().await;
    let mut running = guest.run(Exec::new("cat").with_stdin()).await.unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let write = async {
        stdin.write_all(&sent).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let ((), captured) = soon(async { tokio::join!(write, running.output(sent.len())) }).await;
    let captured = captured.unwrap();
    assert_eq!(captured.exit, Exit::Code(0));
    assert!(captured.stdout == sent, "other bytes came back");
}

#[tokio::test]
async fn a_program_that_ends_before_its_input_does_is_no_trouble() {
    let process = Process::serving();
    let guest = process.guest().await;
    let threads = process.threads();
    // The sleeping one holds the pipe, and neither reads it nor ends.
    let exec = shell("exec 3<&0; setsid sleep 1000 <&3 & echo $!; wait").with_stdin();
    let mut running = guest.run(exec).await.unwrap();
    let mut line = [0; 20];
    let count = running
        .stdout
        .as_mut()
        .unwrap()
        .read(&mut line)
        .await
        .unwrap();
    let pid = std::str::from_utf8(&line[..count])
        .unwrap()
        .trim()
        .to_owned();
    let mut stdin = running.stdin.take().unwrap();
    // More than window and buffer take: the pipe is full as well.
    soon(stdin.write_all(&[1; 390_000])).await.unwrap();
    running.kill(15).await.unwrap();
    assert_eq!(soon(running.wait()).await.unwrap(), Exit::Signal(15));
    soon(async { while stdin.write_all(&[1; 4096]).await.is_ok() {} }).await;
    process.has_threads(threads).await;
    let killed = std::process::Command::new("kill")
        .arg(pid)
        .status()
        .unwrap();
    assert!(killed.success(), "it did not outlive the program");
}

#[tokio::test]
async fn a_program_that_ends_before_its_input_begins_leaves_no_thread() {
    let process = Process::serving();
    let guest = process.guest().await;
    let threads = process.threads();
    let mut running = guest.run(Exec::new("true").with_stdin()).await.unwrap();
    assert!(soon(running.wait()).await.unwrap().is_success());
    process.has_threads(threads).await;
    drop(running);
}

#[tokio::test]
async fn all_output_comes_before_the_end_and_others_are_not_waited_for() {
    let process = Process::serving();
    let guest = process.guest().await;
    let exec = shell("sleep 1000 & echo $!; head -c 1000000 /dev/zero | tr '\\0' x; printf end");
    let (exit, stdout, _) = output(&guest, exec).await;
    assert_eq!(exit, Exit::Code(0));
    assert!(stdout.ends_with("xend"));
    let (pid, rest) = stdout.split_once('\n').unwrap();
    assert_eq!(rest.len(), 1_000_003);
    assert!(
        std::process::Command::new("kill")
            .arg(pid)
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn what_cannot_be_started_is_refused() {
    let process = Process::serving();
    let guest = process.guest().await;
    let wrong = [
        Exec::new("no-such-program"),
        Exec::new("/etc/passwd"),
        Exec::new("true").directory("/no/such/directory"),
        Exec::new("true").user("no-such-user"),
    ];
    for exec in wrong {
        let refused = soon(guest.run(exec.clone())).await.unwrap_err();
        let ours = matches!(
            &refused,
            ClientError::Refused {
                turn: Turn::Caller,
                ..
            }
        );
        assert!(ours, "{exec:?}: {refused}");
    }
    let long = Exec::new("true").arg("x".repeat(70_000));
    assert!(matches!(
        guest.run(long).await,
        Err(ClientError::TooLong(_))
    ));
    assert!(output(&guest, Exec::new("true")).await.0.is_success());
}

#[tokio::test]
async fn a_program_runs_as_whom_it_is_to() {
    let process = Process::serving();
    let guest = process.guest().await;
    let started = guest.run(shell("id -u; id -g; id -G").user("4711")).await;
    if rustix::process::getuid().is_root() {
        let captured = soon(started.unwrap().output(100)).await.unwrap();
        assert_eq!(
            String::from_utf8(captured.stdout).unwrap(),
            "4711\n4711\n4711\n"
        );
    } else {
        let refused = started.unwrap_err();
        assert!(
            matches!(
                refused,
                ClientError::Refused {
                    turn: Turn::Caller,
                    ..
                }
            ),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn signals_reach_the_whole_group() {
    let process = Process::serving();
    let guest = process.guest().await;
    let mut running = guest
        .run(shell("sleep 1000 & echo $!; wait"))
        .await
        .unwrap();
    let mut line = [0; 20];
    let count = running
        .stdout
        .as_mut()
        .unwrap()
        .read(&mut line)
        .await
        .unwrap();
    let child: u32 = std::str::from_utf8(&line[..count])
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(matches!(
        running.kill(999).await,
        Err(ClientError::Refused { .. })
    ));
    running.kill(15).await.unwrap();
    assert_eq!(soon(running.wait()).await.unwrap(), Exit::Signal(15));
    assert_eq!(running.wait().await.unwrap(), Exit::Signal(15));
    gone(child).await;
    assert!(matches!(
        running.kill(15).await,
        Err(ClientError::Refused { .. })
    ));
}

#[tokio::test]
async fn a_program_is_killed_when_it_is_dropped() {
    let process = Process::serving();
    let guest = process.guest().await;
    let mut running = guest.run(Exec::new("sleep").arg("1000")).await.unwrap();
    let pid = running.pid();
    let mut stdout = running.stdout.take().unwrap();
    drop(running);
    gone(pid).await;
    // Whoever still reads is told that there is no more.
    assert!(soon(stdout.read(&mut [0])).await.is_err());
    guest.ping().await.unwrap();
}

#[tokio::test]
async fn all_is_killed_when_the_last_handle_is_dropped() {
    let process = Process::serving();
    let guest = process.guest().await;
    let running = guest.run(Exec::new("sleep").arg("1000")).await.unwrap();
    let pid = running.pid();
    drop(guest);
    drop(running);
    gone(pid).await;
}

#[tokio::test]
async fn slow_readers_block_nobody_and_cost_no_memory() {
    let process = Process::serving();
    let guest = process.guest().await;
    // Two that write without end, of which nobody reads a byte; the second on standard error.
    let mut first = guest.run(Exec::new("yes")).await.unwrap();
    let mut second = guest.run(shell("exec yes >&2")).await.unwrap();
    let before = process.memory();
    for _ in 0..20 {
        let (exit, stdout, _) =
            output(&guest, shell("head -c 500000 /dev/zero | tr '\\0' x")).await;
        assert_eq!((exit, stdout.len()), (Exit::Code(0), 500_000));
    }
    let after = process.memory();
    assert!(after < before + 4096, "{before} KiB grew to {after} KiB");
    // Their first bytes are still there.
    let mut bytes = [0; 1000];
    for output in [&mut first.stdout, &mut second.stderr] {
        let output = output.as_mut().unwrap();
        soon(output.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(bytes[..4], *b"y\ny\n");
    }
}

#[tokio::test]
async fn an_output_that_nobody_wants_does_not_stop_the_program() {
    let process = Process::serving();
    let guest = process.guest().await;
    let mut running = guest
        .run(shell("head -c 2000000 /dev/zero; echo done >&2"))
        .await
        .unwrap();
    drop(running.stdout.take());
    let captured = soon(running.output(100)).await.unwrap();
    assert_eq!(
        (captured.exit, captured.stderr),
        (Exit::Code(0), b"done\n".to_vec())
    );
}

#[tokio::test]
async fn too_much_output_is_an_error_and_ends_the_program() {
    let process = Process::serving();
    let guest = process.guest().await;
    let running = guest.run(Exec::new("yes")).await.unwrap();
    let pid = running.pid();
    let much = soon(running.output(1000)).await;
    assert!(matches!(much, Err(ClientError::TooMuch(1000))), "{much:?}");
    gone(pid).await;
}

#[tokio::test]
async fn many_programs_run_at_once() {
    let process = Process::serving();
    let guest = process.guest().await;
    let runs = (0..40).map(|index| {
        let guest = guest.clone();
        tokio::spawn(async move { output(&guest, shell(&format!("echo {index}"))).await.1 })
    });
    for (index, run) in runs.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(soon(run).await.unwrap(), format!("{index}\n"));
    }
}

#[tokio::test]
async fn switched_off_it_answers_first() {
    let process = Process::serving();
    let guest = process.guest().await;
    let running = guest.run(Exec::new("sleep").arg("1000")).await.unwrap();
    soon(guest.power_off()).await.unwrap();
    gone(running.pid()).await;
    assert!(matches!(
        soon(guest.closed()).await,
        ClientError::Eof | ClientError::Io(_)
    ));
    assert!(guest.is_closed());
    assert!(process.wait().success());
}
