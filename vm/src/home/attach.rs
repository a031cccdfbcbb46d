//! The console of a machine that somebody looks after, for others to look at and type at.

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;

use crate::run::Console;

/// The socket's name in [`super::MachineHome::run_directory`]. Who connects gets what was printed last, and what is printed from then on; what they
/// send is typed.
pub const CONSOLE_SOCKET: &str = "attach";
/// After one could not be let in.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
/// So many may look at once.
const MOST: usize = 16;

/// Lets others look, until it is dropped.
pub(super) async fn serve(directory: &Path, console: &Console) -> io::Result<()> {
    let path = directory.join(CONSOLE_SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let mut open = futures::stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.len() < MOST => {
                match accepted {
                    Ok((stream, _)) => open.push(attend(stream, console)),
                    // Files are short, say: they will not be at once.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
            _ = futures::StreamExt::next(&mut open), if !open.is_empty() => {}
        }
    }
}

/// Serves one until they leave.
async fn attend(mut stream: UnixStream, console: &Console) -> io::Result<()> {
    let (kept, mut pieces) = console.follow();
    let (mut from, mut into) = stream.split();
    let show = async {
        into.write_all(&kept).await?;
        loop {
            match pieces.recv().await {
                Ok(piece) => into.write_all(&piece).await?,
                // Who is slow misses something.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    };
    let typed = async {
        let mut buffer = [0; 256];
        loop {
            match from.read(&mut buffer).await? {
                0 => return Ok(()),
                count => console.write(&buffer[..count]).await?,
            }
        }
    };
    tokio::select! {
        done = show => done,
        done = typed => done,
    }
}
