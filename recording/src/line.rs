//! A line, and its place in the journal.

use grange_model::{FactNumber, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Agent, Ended, Event, Gap, Submitted};

/// What the first line says of itself.
pub(crate) const FORMAT: &str = "grange-recording";
/// What is written, and all that is read.
pub(crate) const VERSION: u32 = 1;

/// How far a recording has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to this fact that belongs into the recording stands in it.
    pub fact: FactNumber,
    /// When that fact was decided.
    pub at: Timestamp,
}

/// A line behind the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How far the recording has come with it.
    pub cursor: Cursor,
    /// What it says.
    pub event: Event,
}

/// A line as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u32>,
    pub(crate) fact: FactNumber,
    pub(crate) at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitted: Option<Box<Submitted>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Ended>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Agent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
}

/// The first line of a recording of what happens behind a fact.
#[must_use]
pub fn header(behind: Cursor) -> Vec<u8> {
    Row {
        format: Some(FORMAT.to_owned()),
        version: Some(VERSION),
        fact: behind.fact,
        at: behind.at,
        ..Row::default()
    }
    .print()
}

impl Line {
    /// As it is written, with the end of the line.
    #[must_use]
    pub fn print(self) -> Vec<u8> {
        Row::from(self).print()
    }

    pub(crate) fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text).map(Row::into_line)
    }
}

impl Row {
    fn print(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("keys are texts, and memory takes it all");
        text.push(b'\n');
        text
    }

    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            fact: self.fact,
            at: self.at,
        }
    }

    /// A line that says several things says the first of these.
    fn into_line(self) -> Line {
        let cursor = self.cursor();
        let submitted = self.submitted.map(Event::Submitted);
        let event = submitted
            .or_else(|| self.ended.map(Event::Ended))
            .or_else(|| self.agent.map(Event::Agent))
            .or_else(|| self.gap.map(Event::Gap))
            .unwrap_or(Event::Mark);
        Line { cursor, event }
    }
}

impl From<Line> for Row {
    fn from(line: Line) -> Self {
        let mut row = Self {
            fact: line.cursor.fact,
            at: line.cursor.at,
            ..Self::default()
        };
        match line.event {
            Event::Mark => {}
            Event::Submitted(submitted) => row.submitted = Some(submitted),
            Event::Ended(ended) => row.ended = Some(ended),
            Event::Agent(agent) => row.agent = Some(agent),
            Event::Gap(gap) => row.gap = Some(gap),
        }
        row
    }
}
