//! The date at which a guest begins.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::macros::{datetime, format_description};
use time::{Date, OffsetDateTime, PrimitiveDateTime};

const DAY: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day]");
const SECOND: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// The first that there is: the clocks of PCs know no earlier year.
const FIRST: OffsetDateTime = datetime!(1980-01-01 00:00:00 UTC);
/// The last: a day later, time as 32-bit programs have it ends.
const LAST: OffsetDateTime = datetime!(2038-01-18 00:00:00 UTC);

/// A second, in UTC, from 1980-01-01 to 2038-01-18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VirtualDate(OffsetDateTime);

/// That is no date at which a guest can begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDateError {
    /// It is none.
    #[error("{text:?} is no date such as 2020-01-01 or 2020-01-01T12:00:00")]
    Malformed {
        /// What stood there.
        text: String,
        /// What is wrong about it.
        source: time::error::Parse,
    },
    /// PCs have no clock for it.
    #[error("{0}: no PC's clock knows a year before 1980")]
    Early(String),
    /// Guests could not count on from it.
    #[error(
        "{0}: the clocks of 32-bit programs end on 2038-01-19, so no guest begins after 2038-01-18"
    )]
    Late(String),
}

impl VirtualDate {
    /// The first that there is.
    pub const FIRST: Self = Self(FIRST);

    /// Midnight of that day.
    ///
    /// # Errors
    ///
    /// No guest can begin on it.
    pub fn midnight(day: Date) -> Result<Self, ParseDateError> {
        Self::new(day.midnight().assume_utc(), || day.to_string())
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// The day.
    #[must_use]
    pub fn day(self) -> Date {
        self.0.date()
    }

    /// As agents and builds say it in a tag `date`: `2020-01-01`, or with the time of day if it is not midnight.
    #[must_use]
    pub fn tag(self) -> String {
        if self.0.time() == time::Time::MIDNIGHT {
            self.0.date().to_string()
        } else {
            self.to_string()
        }
    }

    fn new(at: OffsetDateTime, text: impl FnOnce() -> String) -> Result<Self, ParseDateError> {
        if at < FIRST {
            return Err(ParseDateError::Early(text()));
        }
        if at > LAST {
            return Err(ParseDateError::Late(text()));
        }
        Ok(Self(at))
    }
}

impl Default for VirtualDate {
    /// 2020-01-01, as in Guix's service.
    fn default() -> Self {
        Self(datetime!(2020-01-01 00:00:00 UTC))
    }
}

impl fmt::Display for VirtualDate {
    /// As QEMU's `-rtc base=` wants it: `2020-01-01T00:00:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, time) = (self.0.date(), self.0.time());
        let (hour, minute, second) = time.as_hms();
        write!(f, "{day}T{hour:02}:{minute:02}:{second:02}")
    }
}

impl FromStr for VirtualDate {
    type Err = ParseDateError;

    /// Reads `2020-01-01`, which is its first second, or `2020-01-01T12:00:00`, with or without a `Z`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.strip_suffix('Z').filter(|text| text.contains('T'));
        let plain = plain.unwrap_or(text);
        let parsed = if plain.contains('T') {
            PrimitiveDateTime::parse(plain, SECOND)
        } else {
            Date::parse(plain, DAY).map(Date::midnight)
        };
        let at = parsed.map_err(|source| ParseDateError::Malformed {
            text: text.to_owned(),
            source,
        })?;
        Self::new(at.assume_utc(), || text.to_owned())
    }
}

impl TryFrom<String> for VirtualDate {
    type Error = ParseDateError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<VirtualDate> for String {
    fn from(date: VirtualDate) -> Self {
        date.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_or_seconds() {
        for (text, seconds, printed) in [
            ("2020-01-01", 1_577_836_800, "2020-01-01T00:00:00"),
            ("2020-02-29T23:59:59", 1_583_020_799, "2020-02-29T23:59:59"),
            ("1980-01-01", 315_532_800, "1980-01-01T00:00:00"),
            ("2038-01-18", 2_147_385_600, "2038-01-18T00:00:00"),
            ("2018-06-02T01:02:03Z", 1_527_901_323, "2018-06-02T01:02:03"),
        ] {
            let date: VirtualDate = text.parse().unwrap();
            assert_eq!(
                (date.unix_seconds(), &*date.to_string()),
                (seconds, printed)
            );
        }
        assert_eq!(VirtualDate::default(), "2020-01-01".parse().unwrap());
        let tag = |text: &str| text.parse::<VirtualDate>().unwrap().tag();
        assert_eq!(tag("2020-01-01T00:00:00"), "2020-01-01");
        assert_eq!(tag("2020-01-01T00:00:01"), "2020-01-01T00:00:01");
    }

    #[test]
    fn what_is_none_and_what_no_guest_knows_is_told_apart() {
        for text in [
            "",
            "2020",
            "2020-13-01",
            "2019-02-29",
            "01/01/2020",
            "2020-01-01Z",
            "2020-01-01T24:00:00",
            "yesterday",
        ] {
            let error = text.parse::<VirtualDate>().unwrap_err();
            assert!(
                matches!(error, ParseDateError::Malformed { .. }),
                "{text}: {error}"
            );
        }
        let error = |text: &str| text.parse::<VirtualDate>().unwrap_err();
        assert_eq!(
            error("1979-12-31"),
            ParseDateError::Early("1979-12-31".into())
        );
        assert_eq!(
            error("2038-01-19"),
            ParseDateError::Late("2038-01-19".into())
        );
        assert_eq!(
            error("2100-01-01"),
            ParseDateError::Late("2100-01-01".into())
        );
    }
}
