//! What is printed.

use std::io::{self, Write};

use grange_interfaces::Refusal;
use serde::Serialize;

/// Prints for people or for programs.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON, or text for people.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether it is for programs.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints a value as a line of JSON, or what `text` makes of it.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn value<T: Serialize + ?Sized>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let line = if self.json {
            serde_json::to_string(value)?
        } else {
            text(value)
        };
        self.line(&line)
    }

    /// Prints a line as it is; nothing for an empty one.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn line(self, line: &str) -> anyhow::Result<()> {
        if !line.is_empty() {
            writeln!(io::stdout().lock(), "{line}")?;
        }
        Ok(())
    }
}

/// Says something beside the result.
pub fn note(message: &str) {
    eprintln!("grange: {message}");
}

/// A refusal as JSON.
#[must_use]
pub fn refusal_json(refusal: &Refusal) -> serde_json::Value {
    serde_json::json!({ "fault": refusal.fault, "message": refusal.message })
}

/// Columns, each as wide as its widest cell; the last one is not padded.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(
        rows.iter()
            .map(|row| line(&mut row.iter().map(String::as_str))),
    );
    lines.join("\n")
}

/// A time as people read it, in UTC: `2026-11-20 13:07:59`.
#[must_use]
pub fn show_time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    // 400 years have 146,097 days.
    let (mut year, mut rest) = (1970 + days / 146_097 * 400, days % 146_097);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(show_time(0), "1970-01-01 00:00:00");
        assert_eq!(show_time(951_782_399_999), "2000-02-28 23:59:59");
        assert_eq!(show_time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(show_time(1_795_223_279_000), "2026-11-21 01:07:59");
        assert_eq!(show_time(4_107_542_400_000), "2100-03-01 00:00:00");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["a".into(), "bcd".into()],
            vec!["long".into(), String::new()],
        ];
        assert_eq!(table(&["X", "Y"], &rows), "X     Y\na     bcd\nlong");
    }
}
