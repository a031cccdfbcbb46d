//! Running a program for the host.

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

use super::children::{Child, Children, Programs};
use super::users;
use crate::mux::{Mux, wait};
use crate::protocol::{Answer, Exec, Exit, Frame, Kind, Turn};

/// Bytes that are moved at once.
const PIECE: usize = 32 * 1024;

/// Starts the program, and threads that see to it.
pub(super) fn start(
    mux: &Arc<Mux>,
    stream: u32,
    exec: &Exec,
    children: &Arc<Children>,
    programs: &Arc<Programs>,
) -> Result<(), Answer> {
    let command = command(exec)?;
    let mut child = children
        .spawn(command)
        .map_err(|error| cannot_start(exec, &error))?;
    let pid = child.pid;
    programs.insert(stream, pid);
    // Before any thread can say that it has ended. Nothing in the answer cannot be written.
    let answer = serde_json::to_vec(&Answer::Started { pid }).unwrap_or_default();
    mux.send(Frame::new(Kind::Progress, stream, answer));
    let exited = |child: &Child| child.exited.try_clone();
    let pipes = (|| -> io::Result<()> {
        if let Some(stdin) = child.stdin.take() {
            let (mux, exited) = (Arc::clone(mux), exited(&child)?);
            spawn("stdin", move || feed(&mux, stream, &stdin, &exited))?;
        }
        let mut outputs = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let (mux, exited) = (Arc::clone(mux), exited(&child)?);
            let forward = move || forward(&mux, stream, 0, stdout, &exited);
            outputs.push(spawn("stdout", forward)?);
        }
        if let Some(stderr) = child.stderr.take() {
            let (mux, exited) = (Arc::clone(mux), exited(&child)?);
            let forward = move || forward(&mux, stream, 1, stderr, &exited);
            outputs.push(spawn("stderr", forward)?);
        }
        let (mux, children, programs) =
            (Arc::clone(mux), Arc::clone(children), Arc::clone(programs));
        spawn("exec", move || {
            let exit = finish(&mux, stream, &child, &children, outputs);
            programs.remove(stream, pid);
            let answer = serde_json::to_vec(&Answer::Exited(exit)).unwrap_or_default();
            mux.conclude(stream, answer);
        })?;
        Ok(())
    })();
    pipes.map_err(|error| {
        // No room for threads: it must not run on unseen.
        drop(children.kill(pid, Signal::KILL));
        Answer::failed(
            Turn::Operator,
            format_args!("cannot start a thread: {error}"),
        )
    })
}

fn command(exec: &Exec) -> Result<Command, Answer> {
    let mut command = Command::new(&exec.program);
    command
        .args(&exec.arguments)
        .env_clear()
        .envs(&exec.environment)
        .current_dir(&exec.directory)
        .stdin(if exec.stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(name) = &exec.user {
        let user = users::find(name).map_err(|reason| Answer::failed(Turn::Caller, reason))?;
        command.uid(user.uid).gid(user.gid);
    }
    Ok(command)
}

fn cannot_start(exec: &Exec, error: &io::Error) -> Answer {
    let turn = match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ArgumentListTooLong
        | io::ErrorKind::InvalidInput => Turn::Caller,
        _ => Turn::Operator,
    };
    let (program, directory) = (&exec.program, &exec.directory);
    Answer::failed(
        turn,
        format_args!("cannot start {program} in {directory}: {error}"),
    )
}

/// Waits until the program has ended or nobody wants it any more.
fn finish(
    mux: &Mux,
    stream: u32,
    child: &Child,
    children: &Children,
    outputs: Vec<thread::JoinHandle<()>>,
) -> Exit {
    let ended = wait(|cx| {
        if let Poll::Ready(exit) = child.poll_exit(cx) {
            return Poll::Ready(Some(exit));
        }
        // A host sends no answers: this is ready when the stream or the conversation is over.
        mux.poll_answer(stream, cx).map(|_| None)
    });
    if ended.is_none() {
        // If it is not there, it has ended just now.
        drop(children.kill(child.pid, Signal::KILL));
    }
    let exit = wait(|cx| child.poll_exit(cx));
    for output in outputs {
        // It cannot have panicked; and if, there is nothing more to be forwarded.
        drop(output.join());
    }
    exit
}

/// Moves input from the host to the program.
fn feed(mux: &Mux, stream: u32, mut stdin: &ChildStdin, exited: &PipeReader) {
    let mut bytes = vec![0; PIECE];
    // The program may never read, and others may hold the pipe when it has ended.
    if rustix::io::ioctl_fionbio(stdin, true).is_err() {
        return;
    }
    while let Ok(count @ 1..) = wait(|cx| mux.poll_read(stream, 0, &mut bytes, cx)) {
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            match stdin.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = either(stdin.as_fd(), PollFlags::OUT, exited);
                    if !ready.is_ok_and(|ready| ready.0) {
                        return mux.discard(stream, 0);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return mux.discard(stream, 0),
            }
        }
    }
}

/// Moves output from the program to the host: all that it wrote before it ended. Others that it has started may go on
/// writing to the same pipe, and are not waited for.
fn forward(mux: &Mux, stream: u32, channel: u8, mut output: impl Read + AsFd, exited: &PipeReader) {
    let mut bytes = vec![0; PIECE];
    let mut left = None;
    while left != Some(0) {
        if left.is_none() {
            match either(output.as_fd(), PollFlags::IN, exited) {
                Ok((_, true)) => {
                    let there = rustix::io::ioctl_fionread(output.as_fd());
                    left = Some(there.unwrap_or(0));
                    continue;
                }
                Ok((true, false)) => {}
                Ok((false, false)) => continue,
                Err(_) => break,
            }
        }
        let most = left.map_or(PIECE, |left| {
            PIECE.min(usize::try_from(left).unwrap_or(PIECE))
        });
        let count = match output.read(&mut bytes[..most]) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        left = left.map(|left| left.saturating_sub(count as u64));
        if write_all(mux, stream, channel, &bytes[..count]).is_err() {
            break;
        }
    }
    mux.finish(stream, channel);
}

/// Has all bytes sent.
pub(super) fn write_all(mux: &Mux, stream: u32, channel: u8, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = wait(|cx| mux.poll_write(stream, channel, bytes, cx))?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Waits until the pipe is ready, or the program has ended: which of them.
fn either(pipe: BorrowedFd<'_>, flags: PollFlags, exited: &PipeReader) -> io::Result<(bool, bool)> {
    let exited = exited.as_fd();
    let mut both = [
        PollFd::from_borrowed_fd(pipe, flags),
        PollFd::from_borrowed_fd(exited, PollFlags::IN),
    ];
    match poll(&mut both, None) {
        Ok(_) => Ok((!both[0].revents().is_empty(), !both[1].revents().is_empty())),
        Err(rustix::io::Errno::INTR) => Ok((false, false)),
        Err(error) => Err(error.into()),
    }
}

/// Starts a thread. Each needs little.
pub(super) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name(name.into())
        .stack_size(256 * 1024)
        .spawn(run)
}
