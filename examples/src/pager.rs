//! A hook that calls the pager.

use async_trait::async_trait;
use grange::interfaces::{Delivery, History, Hook, HookError, Request};
use grange::model::{BuildState, Fact, Key, Record};
use tokio::sync::mpsc::UnboundedSender;

/// Calls the pager for what fails at a high priority.
#[derive(Debug)]
pub struct Pager {
    /// Whoever carries the pager holds the other end.
    pub pages: UnboundedSender<String>,
}

#[async_trait]
impl Hook for Pager {
    fn name(&self) -> &str {
        "pager" // its place in the journal is kept under this name
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        history: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        let Fact::Ended {
            build,
            state: BuildState::Failed,
            ..
        } = delivery.fact.fact
        else {
            return Ok(Vec::new());
        };
        let found = history.get(&[Key::Finished(build)]).await;
        let found = found.map_err(|error| HookError::Retry(error.to_string()))?;
        if let Some(Some(Record::Finished(finished))) = found.first()
            && finished.build.spec.priority > 100
        {
            let called = self.pages.send(finished.reason.clone());
            called.map_err(|error| HookError::Retry(error.to_string()))?; // the same fact comes again, later
        }
        Ok(Vec::new())
    }
}
