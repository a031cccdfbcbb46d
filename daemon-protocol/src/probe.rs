//! Whether the daemon lets us do what an agent does.

use futures::{StreamExt, stream};
use grange_derivation::{Hash, paths};

use crate::dialect::Incoming;
use crate::error::DaemonError;
use crate::import::ImportError;
use crate::incoming::{Checked, text_item};
use crate::store::DaemonStore;

/// What the probe item consists of.
const TEXT: &[u8] =
    b"Imported by an agent of a Grange farm, to see whether its key is authorised.\n";
/// What it is called.
const NAME: &str = "grange-probe";

impl DaemonStore {
    /// Imports a tiny item as all others will be: with the farm key's signature into a guix-daemon, as a trusted user into
    /// a nix-daemon. It proves that imports will work; garbage collection takes the item away.
    ///
    /// # Errors
    ///
    /// [`DaemonError::Unauthorised`] with the command that mends it, [`DaemonError::NoKey`]; others if the daemon cannot be
    /// asked.
    pub async fn probe(&self) -> Result<(), DaemonError> {
        if self.info().trusted == Some(false) {
            return Err(DaemonError::Unauthorised {
                message: "it does not trust this user".to_owned(),
                command: self.speech().command(self.farm_key()),
            });
        }
        let hash = Hash::sha256(TEXT).to_sha256().unwrap_or_default();
        let path = paths::text_path(&self.config().store_dir, NAME, [], &hash)
            .expect("the name is a valid one");
        let (info, nar) = text_item(&path, TEXT, Vec::new());
        // Not as the text that it is, which anybody may add.
        let way = self.speech().way_in(Incoming {
            info: &info,
            text: None,
        });
        let nar = Checked::new(&info, stream::iter([Ok(nar)]).boxed());
        let mut connection = self.pool().lease().await?;
        match self.import_by(way, nar, &mut connection).await {
            Ok(()) => {
                connection.done();
                Ok(())
            }
            Err(ImportError::Daemon(error)) => Err(error),
            Err(ImportError::Item(error)) => {
                unreachable!("the probe item is what it says: {error}")
            }
        }
    }
}
