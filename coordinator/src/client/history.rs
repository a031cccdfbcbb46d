//! What builds of packages have taken so far.

use grange_interfaces::message::{Answer, MAX_PACKAGES, Message, PackageHistory};

use super::{Client, ClientError};

/// Every method fails if the coordinator is not reached or refuses.
impl Client {
    /// The next packages behind `after` (package, system), in their order, and whether there are more.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn history(
        &self,
        after: Option<(String, String)>,
    ) -> Result<(Vec<PackageHistory>, bool), ClientError> {
        let limit = MAX_PACKAGES;
        match self.ask(Message::History { after, limit }).await? {
            Answer::History { packages, more } => Ok((packages, more)),
            _ => Err(ClientError::Answer {
                question: "History",
            }),
        }
    }

    /// Has these take the place of what the coordinator knows of the same packages on the same systems; of others it knows
    /// what it knew. Sent in several messages, each of which is taken as a whole or not at all.
    ///
    /// # Errors
    ///
    /// See above; there may be too many, or one that cannot be.
    pub async fn import_history(&self, packages: &[PackageHistory]) -> Result<(), ClientError> {
        for packages in packages.chunks(MAX_PACKAGES as usize) {
            let packages = packages.to_vec();
            self.order("ImportHistory", Message::ImportHistory { packages })
                .await?;
        }
        Ok(())
    }
}
