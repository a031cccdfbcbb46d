//! `result.json`: how an attempt ended, for the next run of the agent.

use grange_interfaces::message::{Report, ReportedOutput};
use grange_model::{BuildId, FailureKind, Usage};
use serde::{Deserialize, Serialize};

/// The version that this agent writes, and the only one that it reads.
pub(crate) const VERSION: u32 = 1;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpooledResult {
    pub(crate) version: u32,
    /// The derivation's path.
    pub(crate) derivation: String,
    /// The builds that the attempt may end.
    pub(crate) builds: Vec<BuildId>,
    /// Bytes of the log file.
    pub(crate) log_size: u64,
    /// What the attempt used.
    #[serde(default)]
    pub(crate) usage: Usage,
    pub(crate) outcome: SpooledOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SpooledOutcome {
    Succeeded { outputs: Vec<SpooledOutput> },
    Failed { kind: FailureKind, message: String },
}

/// An output, and the file in the attempt's directory that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpooledOutput {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) file: String,
    pub(crate) file_hash: String,
    pub(crate) file_size: u64,
    pub(crate) nar_hash: String,
    pub(crate) nar_size: u64,
    pub(crate) references: Vec<String>,
}

impl SpooledResult {
    pub(crate) fn outputs(&self) -> &[SpooledOutput] {
        match &self.outcome {
            SpooledOutcome::Succeeded { outputs } => outputs,
            SpooledOutcome::Failed { .. } => &[],
        }
    }

    /// What the coordinator is told. `log_size` are the bytes of the whole log.
    pub(crate) fn report(&self, log_size: u64) -> Report {
        match &self.outcome {
            SpooledOutcome::Succeeded { outputs } => {
                let outputs = outputs.iter().map(SpooledOutput::reported).collect();
                Report::Succeeded {
                    outputs,
                    log_size,
                    usage: self.usage,
                }
            }
            SpooledOutcome::Failed { kind, message } => Report::Failed {
                kind: kind.clone(),
                message: message.clone(),
                log_size,
                usage: self.usage,
            },
        }
    }
}

impl SpooledOutput {
    fn reported(&self) -> ReportedOutput {
        ReportedOutput {
            name: self.name.clone(),
            file_hash: self.file_hash.clone(),
            file_size: self.file_size,
            nar_hash: self.nar_hash.clone(),
            nar_size: self.nar_size,
            references: self.references.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What version 1 looks like: results of an older agent are read by a newer one.
    const GOLDEN: &str = r#"{
  "version": 1,
  "derivation": "/gnu/store/00000000000000000000000000000000-a.drv",
  "builds": ["0195f3c0-0000-7000-8000-000000000001"],
  "log_size": 12,
  "outcome": {
    "succeeded": {
      "outputs": [
        {
          "name": "out",
          "path": "/gnu/store/00000000000000000000000000000000-a",
          "file": "0.nar.zst",
          "file_hash": "aa",
          "file_size": 3,
          "nar_hash": "bb",
          "nar_size": 4,
          "references": ["/gnu/store/00000000000000000000000000000000-b"]
        }
      ]
    }
  }
}"#;

    #[test]
    fn version_1_can_be_read_and_is_what_is_written() {
        let read: SpooledResult = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(read.outputs()[0].file, "0.nar.zst");
        let mut golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        golden["usage"] = serde_json::json!({ "build_ms": null, "peak_memory": null });
        assert_eq!(serde_json::to_value(&read).unwrap(), golden);
        let failed = r#"{"failed":{"kind":{"exit":1},"message":"no"}}"#;
        let read: SpooledOutcome = serde_json::from_str(failed).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), failed);
    }
}
