//! Settings that cannot be.

use grange_agent::{AgentConfig, AgentError};
use grange_interfaces::Fault;

use crate::rig::Rig;

fn refused(change: impl FnOnce(&mut AgentConfig)) -> String {
    let mut rig = Rig::new();
    change(&mut rig.config);
    let error = rig.agent().unwrap_err();
    assert!(matches!(error, AgentError::Config(_)));
    assert_eq!(error.fault(), Fault::Operator);
    error.to_string()
}

#[tokio::test]
async fn settings_are_checked() {
    assert!(refused(|config| config.parallel = 0).contains("`parallel` is 0"));
    assert!(refused(|config| config.compression_level = 22).contains("from 1 to 19"));
    assert!(refused(|config| config.exclusive = vec!["vm".into()]).contains("no such tag"));
    assert!(refused(|config| config.systems = Some(vec![])).contains("empty"));
    let minute = std::time::Duration::from_secs(61);
    assert!(refused(|config| config.wait = minute).contains("at most 60 s"));
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_made_is_said() {
    let mut rig = Rig::new();
    let file = rig.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    rig.config.state_dir = file.join("state");
    let error = rig.start().end().await.unwrap_err();
    assert!(matches!(error, AgentError::StateDir { .. }));
    assert!(error.to_string().contains("cannot make"), "{error}");
}
