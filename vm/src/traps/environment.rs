//! Where something builds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::machine::{CpuEra, CpuModel, VirtualDate};

/// The environment that a build needs: what virtual build machines offer as tags of the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Environment {
    /// The date. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<VirtualDate>,
    /// The processor. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuModel>,
    /// The kernel's version. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
}

/// No environment does for both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no environment does for both: one needs {what} {one}, the other {other}")]
pub struct MergeError {
    what: &'static str,
    one: String,
    other: String,
}

impl Environment {
    /// Whether anything does.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// One that does for both: the earlier date, the older processor.
    ///
    /// # Errors
    ///
    /// They need different kernels, or processors of which it is not known which is older.
    pub fn and(&self, other: &Self) -> Result<Self, MergeError> {
        let age = |cpu: &CpuModel| CpuEra::ALL.iter().position(|era| era.model == cpu.as_str());
        let cpu = both(&self.cpu, &other.cpu, |one, other| {
            match (age(one), age(other)) {
                (Some(a), Some(b)) => Some(if a <= b { one } else { other }.clone()),
                _ => None,
            }
        });
        let kernel = both(&self.kernel, &other.kernel, |_, _| None);
        let date = both(&self.date, &other.date, |one, other| Some(*one.min(other)));
        let differ = |what, pair: (String, String)| MergeError {
            what,
            one: pair.0,
            other: pair.1,
        };
        Ok(Self {
            date: date.map_err(|pair| differ("the date", pair))?,
            cpu: cpu.map_err(|pair| differ("the processor", pair))?,
            kernel: kernel.map_err(|pair| differ("the kernel", pair))?,
        })
    }

    /// What a build requires of its agent, as tags.
    #[must_use]
    pub fn tags(&self) -> Vec<(&'static str, String)> {
        let date = self.date.map(|date| ("date", date.tag()));
        let cpu = self.cpu.as_ref().map(|cpu| ("cpu", cpu.to_string()));
        let kernel = self.kernel.clone().map(|kernel| ("kernel", kernel));
        [date, cpu, kernel].into_iter().flatten().collect()
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = self.tags();
        if tags.is_empty() {
            return f.write_str("any");
        }
        for (index, (key, value)) in tags.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{key}={value}")?;
        }
        Ok(())
    }
}

/// What does for both; if nothing does, the two as text.
fn both<T: Clone + PartialEq + ToString>(
    one: &Option<T>,
    other: &Option<T>,
    choose: impl FnOnce(&T, &T) -> Option<T>,
) -> Result<Option<T>, (String, String)> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => match choose(one, other) {
            Some(chosen) => Ok(Some(chosen)),
            None => Err((one.to_string(), other.to_string())),
        },
        _ => Ok(one.clone().or_else(|| other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(text: &str) -> Environment {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_earlier_date_and_the_older_processor_do_for_both() {
        let one = environment("date = \"2022-01-01\"\ncpu = \"Haswell\"");
        let other = environment("date = \"2020-01-01\"\ncpu = \"Westmere\"\nkernel = \"5.10\"");
        let both = one.and(&other).unwrap();
        assert_eq!(both, other);
        assert_eq!(both.to_string(), "date=2020-01-01 cpu=Westmere kernel=5.10");
        assert_eq!(other.and(&one).unwrap(), both);
        assert_eq!(one.and(&Environment::default()).unwrap(), one);
        assert!(Environment::default().is_any());
        assert_eq!(Environment::default().to_string(), "any");
    }

    #[test]
    fn what_excludes_the_other_is_told() {
        let kernel = |version: &str| environment(&format!("kernel = \"{version}\""));
        let error = kernel("5.10").and(&kernel("6.1")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no environment does for both: one needs the kernel 5.10, the other 6.1"
        );
        let error = environment("cpu = \"EPYC\"")
            .and(&environment("cpu = \"Haswell\""))
            .unwrap_err();
        assert!(error.to_string().contains("EPYC"), "{error}");
    }
}
