//! Where the lines go.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::Clock;
use grange_recording::Sink;

/// How long after an append that failed it is tried again; doubled each time.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// A sink that is tried until it takes what it is given.
#[derive(Debug)]
pub(super) struct Output {
    clock: Arc<dyn Clock>,
    /// Lent to the thread that appends.
    sink: Option<Box<dyn Sink>>,
}

impl Output {
    pub(super) fn new(clock: Arc<dyn Clock>, sink: Box<dyn Sink>) -> Self {
        Self {
            clock,
            sink: Some(sink),
        }
    }

    /// Appends, however long there is no room. What is said of that is said once.
    pub(super) async fn append(&mut self, lines: Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let lines = Arc::new(lines);
        let mut wait = FIRST;
        let mut failed = false;
        while let Err(error) = self.try_append(&lines).await {
            if !failed {
                tracing::error!(%error, "nothing can be recorded; the farm goes on, and what happens is recorded later");
                failed = true;
            }
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
        }
        if failed {
            tracing::info!("what happens is recorded again");
        }
    }

    /// A disk may be slow: nobody else waits for it.
    async fn try_append(&mut self, lines: &Arc<Vec<u8>>) -> io::Result<()> {
        let Some(mut sink) = self.sink.take() else {
            return Err(io::Error::other("the sink panicked"));
        };
        let lines = Arc::clone(lines);
        let append = move || {
            let appended = sink.append(&lines);
            (sink, appended)
        };
        let (sink, appended) = tokio::task::spawn_blocking(append)
            .await
            .map_err(io::Error::other)?;
        self.sink = Some(sink);
        appended
    }
}
