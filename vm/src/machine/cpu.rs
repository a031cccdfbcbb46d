//! Processors, and which of them was new when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::Date;
use time::macros::date;

use super::VirtualDate;

/// A processor as QEMU calls it, such as `Westmere` or `Skylake-Client-noTSX-IBRS`, with features to add or leave out behind it if
/// need be: `Haswell,-avx2`. Whether an emulator knows it only the emulator can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuModel(String);

/// That cannot be the name of a processor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no processor: letters, digits, `-`, `_`, `.` and features such as `,+avx` or `,-avx` make one"
)]
pub struct ParseCpuModelError(String);

impl CpuModel {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without features.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.split(',').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for CpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CpuModel {
    type Err = ParseCpuModelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |text: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits)
        };
        let mut parts = text.split(',');
        let base = parts.next().is_some_and(word);
        let feature = |part: &str| part.strip_prefix(['+', '-']).is_some_and(word);
        if !base || text.len() > 256 || !parts.all(feature) {
            return Err(ParseCpuModelError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for CpuModel {
    type Error = ParseCpuModelError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CpuModel> for String {
    fn from(cpu: CpuModel) -> Self {
        cpu.0
    }
}

/// A processor, and the day from which on it was the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuEra {
    /// It was newest after this day.
    pub since: Date,
    /// As QEMU calls it.
    pub model: &'static str,
}

impl CpuEra {
    /// The table of Guix's service for `x86_64-linux` (`gnu/services/virtualization.scm`, `%x86-64-intel-cpu-models`), oldest first. There, Nehalem
    /// and Westmere are not in order, so that it takes Nehalem for 2010.
    pub const ALL: &'static [Self] = &[
        Self::new(date!(2006 - 01 - 01), "core2duo"),
        Self::new(date!(2008 - 01 - 01), "Nehalem"),
        Self::new(date!(2010 - 01 - 01), "Westmere"),
        Self::new(date!(2011 - 01 - 01), "SandyBridge"),
        Self::new(date!(2012 - 01 - 01), "IvyBridge"),
        Self::new(date!(2013 - 01 - 01), "Haswell"),
        Self::new(date!(2014 - 01 - 01), "Broadwell"),
        Self::new(date!(2015 - 01 - 01), "Skylake-Client"),
    ];

    const fn new(since: Date, model: &'static str) -> Self {
        Self { since, model }
    }
}

/// The processor that was new at that date: the last one of the table that is older. None before the table begins.
#[must_use]
pub fn cpu_of(date: VirtualDate) -> Option<CpuModel> {
    let older = |era: &&CpuEra| era.since < date.day();
    let era = CpuEra::ALL.iter().rev().find(older)?;
    Some(CpuModel(era.model.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_names_are_models() {
        assert!(
            CpuEra::ALL
                .windows(2)
                .all(|pair| pair[0].since < pair[1].since)
        );
        for era in CpuEra::ALL {
            assert_eq!(era.model.parse::<CpuModel>().unwrap().as_str(), era.model);
        }
    }

    #[test]
    fn the_newest_that_is_older_than_the_date_is_taken() {
        for (date, model) in [
            ("2006-01-01", None),
            ("2006-01-02", Some("core2duo")),
            ("2009-12-31", Some("Nehalem")),
            ("2010-06-01", Some("Westmere")),
            ("2011-01-01", Some("Westmere")),
            ("2015-01-01", Some("Broadwell")),
            ("2020-01-01", Some("Skylake-Client")),
            ("2037-01-01", Some("Skylake-Client")),
        ] {
            let cpu = cpu_of(date.parse().unwrap());
            assert_eq!(cpu.as_ref().map(CpuModel::as_str), model, "{date}");
        }
    }

    #[test]
    fn nothing_but_a_model_gets_into_an_option() {
        for good in ["max", "core2duo", "Haswell,-avx2,+ssse3", "qemu64"] {
            assert_eq!(good.parse::<CpuModel>().unwrap().as_str(), good);
        }
        assert_eq!(
            "Haswell,-avx2".parse::<CpuModel>().unwrap().base(),
            "Haswell"
        );
        for bad in [
            "",
            "-cpu",
            "a b",
            "max,enforce=on",
            "max,",
            "help?",
            "a,,b",
            "max,avx",
        ] {
            assert!(bad.parse::<CpuModel>().is_err(), "{bad}");
        }
    }
}
