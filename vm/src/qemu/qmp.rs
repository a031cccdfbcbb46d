//! QMP: how one speaks to a QEMU that runs (`docs/interop/qmp-spec.rst` of QEMU).

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// A line has at most so many bytes; QEMU's longest here, `query-cpu-definitions`, has some 50 kB.
const LINE: usize = 1 << 20;
/// So many events that nobody has asked for are kept; older ones go.
const EVENTS: usize = 256;

/// A connection to QEMU's monitor. One command at a time; what QEMU says by itself is kept until it is asked for.
#[derive(Debug)]
pub struct Qmp<S> {
    stream: S,
    buffer: Vec<u8>,
    events: VecDeque<Event>,
    next: u64,
    patience: Duration,
}

/// Something that QEMU says by itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    /// What, such as `SHUTDOWN`.
    pub event: String,
    /// More about it.
    #[serde(default)]
    pub data: Value,
}

/// What a guest does, as `query-status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState(String);

impl RunState {
    /// As QEMU calls it: `running`, `paused`, `io-error`, ….
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether it is executed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0 == "running"
    }

    /// Whether it still waits for its state.
    #[must_use]
    pub fn is_incoming(&self) -> bool {
        self.0 == "inmigrate"
    }
}

/// QEMU was not asked, or does not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QmpError {
    /// The connection is gone: QEMU has ended.
    #[error("QEMU has closed its monitor")]
    Closed,
    /// The connection failed.
    #[error("QEMU's monitor failed")]
    Io(#[source] io::Error),
    /// What came is no QMP.
    #[error("QEMU's monitor says what is no QMP: {0}")]
    Garbage(String),
    /// It does not do it.
    #[error("QEMU refuses {command}: {why}")]
    Refused {
        /// What it was asked.
        command: String,
        /// What it says.
        why: String,
    },
    /// It does not answer.
    #[error("QEMU has not answered {command} within {} s", .patience.as_secs())]
    Silent {
        /// What it was asked.
        command: String,
        /// How long it was waited for.
        patience: Duration,
    },
}

impl<S: AsyncRead + AsyncWrite + Unpin> Qmp<S> {
    /// Greets QEMU; it is ready for commands then. Each answer is waited for as long as `patience` says.
    ///
    /// # Errors
    ///
    /// What is there is no QEMU, or it does not answer.
    pub async fn greet(stream: S, patience: Duration) -> Result<Self, QmpError> {
        let mut qmp = Self {
            stream,
            buffer: Vec::new(),
            events: VecDeque::new(),
            next: 0,
            patience,
        };
        let greeting = timeout(patience, qmp.line()).await;
        let silent = |_| QmpError::Silent {
            command: "a greeting".into(),
            patience,
        };
        let greeting = greeting.map_err(silent)??;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::Garbage(shorten(&greeting.to_string())));
        }
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Has QEMU do something, and returns what it says of it.
    ///
    /// # Errors
    ///
    /// It does not do it, or does not answer.
    pub async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let patience = self.patience;
        let answer = timeout(patience, self.ask(command, arguments)).await;
        answer.unwrap_or_else(|_| {
            Err(QmpError::Silent {
                command: command.to_owned(),
                patience,
            })
        })
    }

    /// What the guest does.
    ///
    /// # Errors
    ///
    /// As [`Qmp::execute`].
    pub async fn run_state(&mut self) -> Result<RunState, QmpError> {
        let answer = self.execute("query-status", json!({})).await?;
        match answer.get("status").and_then(Value::as_str) {
            Some(status) => Ok(RunState(status.to_owned())),
            None => Err(QmpError::Garbage(shorten(&answer.to_string()))),
        }
    }

    /// The next thing that QEMU says by itself. May be dropped at any time; nothing is lost.
    ///
    /// # Errors
    ///
    /// The connection is gone, or what comes is no QMP.
    pub async fn event(&mut self) -> Result<Event, QmpError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let value = self.line().await?;
            self.sort(value)?;
        }
    }

    async fn ask(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let id = self.next;
        self.next += 1;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        line.push('\n');
        let written = self.stream.write_all(line.as_bytes()).await;
        written.map_err(failed)?;
        loop {
            let value = self.line().await?;
            // An answer to something that was given up carries another id.
            let Some(mut answer) = self.sort(value)? else {
                continue;
            };
            if answer.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(error) = answer.get("error") {
                let why = error.get("desc").and_then(Value::as_str);
                return Err(QmpError::Refused {
                    command: command.to_owned(),
                    why: shorten(why.unwrap_or("it does not say why")),
                });
            }
            return Ok(answer["return"].take());
        }
    }

    /// Keeps an event; gives back an answer.
    fn sort(&mut self, value: Value) -> Result<Option<Value>, QmpError> {
        if value.get("event").is_some() {
            let garbage = |error: serde_json::Error| QmpError::Garbage(error.to_string());
            let event = serde_json::from_value(value).map_err(garbage)?;
            if self.events.len() == EVENTS {
                self.events.pop_front();
            }
            self.events.push_back(event);
            return Ok(None);
        }
        if value.get("return").is_some() || value.get("error").is_some() {
            return Ok(Some(value));
        }
        Err(QmpError::Garbage(shorten(&value.to_string())))
    }

    /// A line, which may come in pieces: what has come stays in the buffer if this is dropped.
    async fn line(&mut self) -> Result<Value, QmpError> {
        let mut looked = 0;
        loop {
            if let Some(end) = self.buffer[looked..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(looked + end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                let garbage = |_| QmpError::Garbage(shorten(&String::from_utf8_lossy(&line)));
                return serde_json::from_slice(&line).map_err(garbage);
            }
            looked = self.buffer.len();
            if looked > LINE {
                return Err(QmpError::Garbage(format!("a line of over {LINE} bytes")));
            }
            if self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .map_err(failed)?
                == 0
            {
                return Err(QmpError::Closed);
            }
        }
    }
}

fn failed(error: io::Error) -> QmpError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    match error.kind() {
        BrokenPipe | ConnectionReset => QmpError::Closed,
        _ => QmpError::Io(error),
    }
}

/// The beginning of it, on a line.
fn shorten(text: &str) -> String {
    text.trim()
        .chars()
        .take(200)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream, duplex};

    use super::*;

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";

    /// Says the greeting, then for each line that comes one of `answers`, with `ID` as what was asked with.
    async fn qemu(stream: DuplexStream, greeting: &'static str, answers: Vec<&'static str>) {
        let mut stream = BufReader::new(stream);
        stream.write_all(greeting.as_bytes()).await.unwrap();
        for answer in answers {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                return;
            }
            let asked: Value = serde_json::from_str(&line).unwrap();
            let answer = answer.replace("ID", &asked["id"].to_string());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    async fn against(
        greeting: &'static str,
        answers: &[&'static str],
    ) -> Result<Qmp<DuplexStream>, QmpError> {
        let (ours, theirs) = duplex(64);
        tokio::spawn(qemu(theirs, greeting, answers.to_vec()));
        Qmp::greet(ours, Duration::from_secs(5)).await
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_told_from_events_and_from_late_answers() {
        let answers = [
            "{\"return\": {}, \"id\": ID}\n",
            "{\"event\": \"RESUME\", \"data\": {}}\n{\"return\": 7, \"id\": 99}\n{\"return\": {\"status\": \"running\"}, \"id\": ID}\n{\"event\": \"STOP\"}\n",
            "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x has not been found\"}, \"id\": ID}\n",
        ];
        let mut qmp = against(GREETING, &answers).await.unwrap();
        assert!(qmp.run_state().await.unwrap().is_running());
        assert_eq!(qmp.event().await.unwrap().event, "RESUME");
        let error = qmp.execute("x", json!({})).await.unwrap_err();
        assert!(
            matches!(&error, QmpError::Refused { command, why } if command == "x" && why.contains("not been found"))
        );
        assert_eq!(qmp.event().await.unwrap().event, "STOP");
        assert!(matches!(qmp.event().await, Err(QmpError::Closed)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_qemu_is_told() {
        let error = against("SSH-2.0-x\r\n", &[]).await.unwrap_err();
        assert!(
            matches!(&error, QmpError::Garbage(what) if what == "SSH-2.0-x"),
            "{error}"
        );
        let error = against("{}\n", &[]).await.unwrap_err();
        assert!(matches!(error, QmpError::Garbage(_)), "{error}");
        let error = against("", &[]).await.unwrap_err();
        assert!(matches!(error, QmpError::Closed), "{error}");
        let error = against(GREETING, &["{\"neither\": 1}\n"])
            .await
            .unwrap_err();
        assert!(matches!(error, QmpError::Garbage(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_floods_have_an_end() {
        let (ours, _theirs) = duplex(64);
        let error = Qmp::greet(ours, Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, QmpError::Silent { .. }), "{error}");
        let (ours, mut theirs) = duplex(1 << 16);
        tokio::spawn(async move { while theirs.write_all(&[b'x'; 4096]).await.is_ok() {} });
        let error = Qmp::greet(ours, Duration::from_secs(5)).await.unwrap_err();
        assert!(
            matches!(&error, QmpError::Garbage(what) if what.contains("bytes")),
            "{error}"
        );
    }
}
