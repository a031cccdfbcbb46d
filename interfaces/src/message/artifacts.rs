//! What is kept, and what goes.

use grange_model::Tags;
use serde::{Deserialize, Serialize};

/// Which outputs shall go.
///
/// An output goes if nothing keeps it. It is kept if an unfinished build makes or needs it, if a
/// derivation has it as a source, if one of the fields below says so, or if something that is kept
/// refers to it. At least one of the fields has to say something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneRequest {
    /// Keep what a build that asked for it, made it, or had it as a direct input, ended less than so long ago, in
    /// milliseconds.
    #[serde(default)]
    pub older_than_ms: Option<u64>,
    /// Keep all but that which only builds with all of these tags have asked for, made, or had as a direct input.
    #[serde(default)]
    pub tags: Tags,
    /// Keep what a build with one of these tags has asked for, made, or had as a direct input.
    #[serde(default)]
    pub keep_tags: Vec<(String, String)>,
    /// Keep these: outputs, or derivations with all of their outputs.
    #[serde(default)]
    pub roots: Vec<String>,
    /// Keep the newest, so that at most so many bytes are left, sources included.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// Whether to delete; else it is only said what would go.
    #[serde(default)]
    pub delete: bool,
}

/// So many things with so many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// How many.
    pub count: u64,
    /// How many bytes they have, compressed.
    pub bytes: u64,
}

impl Held {
    /// One more.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    /// What was built here.
    pub outputs: Held,
    /// What clients sent.
    pub sources: Held,
    /// Logs of attempts.
    pub logs: Held,
    /// Blobs that no record names: a sweep deletes them.
    pub unreferenced: Held,
}

/// What goes, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneView {
    /// The outputs that go.
    pub goes: Held,
    /// What stays of outputs and sources.
    pub stays: Held,
    /// Whether they were deleted.
    pub deleted: bool,
    /// The first 10,000 of those that go, in the order in which they do.
    pub items: Vec<PrunedItem>,
}

/// An output that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedItem {
    /// Which.
    pub path: String,
    /// How many bytes it has, compressed.
    pub bytes: u64,
    /// When a build that asked for it, had it as a direct input, or asked for what refers to it, ended last, in
    /// milliseconds since 1970; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at_ms: Option<u64>,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepView {
    /// How many blobs it looked at, and logs that are no blobs yet.
    pub blobs: u64,
    /// Those that no record names.
    pub unreferenced: Held,
    /// Whether they were deleted.
    pub deleted: bool,
}
