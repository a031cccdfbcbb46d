//! A trap.

use serde::{Deserialize, Serialize};

use super::{Environment, Package};
use crate::machine::VirtualDate;

/// What no longer builds as it did, where it still does, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Trap {
    /// The package's name; `*` is anything.
    pub package: String,
    /// The first version that it holds for. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last one. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// From this date on, it fails. Default: whenever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<VirtualDate>,
    /// Where it builds.
    pub environment: Environment,
    /// What goes wrong elsewhere.
    pub why: String,
    /// Who has seen it.
    pub evidence: String,
}

impl Trap {
    /// Whether that package, built on a machine of today, is caught. `now`: seconds since 1970.
    #[must_use]
    pub fn catches(&self, package: &Package, now: i64) -> bool {
        let sprung = self
            .expires
            .is_none_or(|expires| now >= expires.unix_seconds());
        let between = package.is_between(self.from.as_deref(), self.until.as_deref());
        sprung && package.is_like(&self.package) && between
    }
}
