//! Builds, as their submitter sees them.

use grange_interfaces::message::{
    Answer, BuildFilter, BuildSummary, BuildView, EtaView, FactView, ItemView, MAX_ETAS, Message,
    Submission,
};
use grange_model::{BuildId, FactNumber};

use super::{Client, ClientError};

/// The most builds that one answer may hold.
const PAGE: u32 = 1_000;

/// Every method fails if the coordinator is not reached or refuses.
impl Client {
    /// All about one build.
    ///
    /// # Errors
    ///
    /// See above; there may be no such build.
    pub async fn build(&self, build: BuildId) -> Result<BuildView, ClientError> {
        match self.ask(Message::Build { build }).await? {
            Answer::Build(view) => Ok(*view),
            _ => Err(ClientError::Answer { question: "Build" }),
        }
    }

    /// Builds in the order of their ids, a page at a time, behind `after`.
    #[must_use]
    pub fn builds(&self, filter: BuildFilter, after: Option<BuildId>) -> BuildPages {
        BuildPages {
            client: self.clone(),
            filter,
            after,
            page: PAGE,
            more: true,
        }
    }

    /// When builds will have ended, in order. Asked in several messages, between which time passes.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn etas(&self, builds: &[BuildId]) -> Result<Vec<EtaView>, ClientError> {
        let mut etas = Vec::new();
        for builds in builds.chunks(MAX_ETAS as usize) {
            let (asked, builds) = (builds.len(), builds.to_vec());
            match self.ask(Message::Etas { builds }).await? {
                Answer::Etas(views) if views.len() == asked => etas.extend(views),
                _ => return Err(ClientError::Answer { question: "Etas" }),
            }
        }
        Ok(etas)
    }

    /// Cancels builds. The answers are in order: what had ended before says so.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn cancel(&self, builds: Vec<BuildId>) -> Result<Vec<Submission>, ClientError> {
        let asked = builds.len();
        match self.ask(Message::Cancel { builds }).await? {
            Answer::Submitted(answers) if answers.len() == asked => Ok(answers),
            _ => Err(ClientError::Answer { question: "Cancel" }),
        }
    }

    /// Facts behind `after`, and the number of the newest one that this covers; waits for at most `wait_ms`
    /// milliseconds if there is none. Without `after` there are no facts and the newest number comes at once.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn facts(
        &self,
        after: Option<FactNumber>,
        wait_ms: u64,
    ) -> Result<(Vec<FactView>, FactNumber), ClientError> {
        match self
            .ask(Message::Facts {
                after,
                wait_ms,
                limit: PAGE,
            })
            .await?
        {
            Answer::Facts { facts, last } => Ok((facts, last)),
            _ => Err(ClientError::Answer { question: "Facts" }),
        }
    }

    /// What is known of these items, in order. With `closure`, what is available of them and of all that they refer
    /// to, references first.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn items(
        &self,
        paths: Vec<String>,
        closure: bool,
    ) -> Result<Vec<Option<ItemView>>, ClientError> {
        match self.ask(Message::Items { paths, closure }).await? {
            Answer::Items(items) => Ok(items),
            _ => Err(ClientError::Answer { question: "Items" }),
        }
    }
}

/// Builds in the order of their ids, a page at a time.
#[derive(Debug)]
pub struct BuildPages {
    client: Client,
    filter: BuildFilter,
    after: Option<BuildId>,
    page: u32,
    more: bool,
}

impl BuildPages {
    /// How many builds a page has at most, 1 to 1,000.
    #[must_use]
    pub fn with_page(mut self, page: u32) -> Self {
        self.page = page.clamp(1, PAGE);
        self
    }

    /// The next page; none behind the last one.
    ///
    /// # Errors
    ///
    /// The coordinator is not reached or refuses.
    pub async fn next(&mut self) -> Result<Option<Vec<BuildSummary>>, ClientError> {
        if !self.more {
            return Ok(None);
        }
        let message = Message::Builds {
            filter: self.filter.clone(),
            after: self.after,
            limit: self.page,
        };
        let Answer::Builds { builds, more } = self.client.ask(message).await? else {
            return Err(ClientError::Answer { question: "Builds" });
        };
        let Some(last) = builds.last() else {
            self.more = false;
            return Ok(None);
        };
        self.after = Some(last.id);
        self.more = more;
        Ok(Some(builds))
    }
}
