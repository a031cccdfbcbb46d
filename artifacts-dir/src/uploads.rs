//! One at a time for each upload.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grange_interfaces::UploadId;
use sha2::Sha256;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Entries = HashMap<UploadId, Arc<AsyncMutex<Progress>>>;

/// The uploads that somebody works on, or of which something is known.
#[derive(Debug)]
pub(crate) struct Uploads {
    entries: Mutex<Entries>,
    /// Those that may have a file; of all others it is known that they have none, without a look at the disk. It changes only
    /// while the upload is held: added before the file is made, taken out when it is gone.
    files: Mutex<HashSet<UploadId>>,
    /// The directory is locked until the last one who works there is done.
    #[expect(dead_code, reason = "it is held, not read")]
    lock: File,
}

/// What is known of an upload beside its file.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The file's length and the hash of all of it, if every byte came through this process.
    pub(crate) hashed: Option<(u64, Sha256)>,
}

/// The right to work on an upload. It moves to the thread that does so: if the caller goes away
/// meanwhile, the work is ended before anybody else begins.
#[derive(Debug)]
pub(crate) struct Held {
    // Before the ticket: what is dropped first.
    progress: OwnedMutexGuard<Progress>,
    ticket: Ticket,
}

/// A place in the queue for an upload. The last one that leaves tidies up.
#[derive(Debug)]
struct Ticket {
    uploads: Arc<Uploads>,
    upload: UploadId,
}

impl Uploads {
    /// `files` are there already.
    pub(crate) fn new(lock: File, files: HashSet<UploadId>) -> Self {
        Self {
            entries: Mutex::default(),
            files: Mutex::new(files),
            lock,
        }
    }

    /// Whether it may have a file.
    pub(crate) fn may_be_there(&self, upload: &UploadId) -> bool {
        self.files().contains(upload)
    }

    fn files(&self) -> MutexGuard<'_, HashSet<UploadId>> {
        // Every change is one call of the set.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else works on the upload.
    pub(crate) async fn hold(self: &Arc<Self>, upload: &UploadId) -> Held {
        // The ticket is made first, so that it is dropped last, also where waiting is given up.
        let ticket = Ticket {
            uploads: Arc::clone(self),
            upload: upload.clone(),
        };
        let entry = Arc::clone(self.entries().entry(upload.clone()).or_default());
        Held {
            progress: entry.lock_owned().await,
            ticket,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Every change is one call of the map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries().len()
    }
}

impl Held {
    /// Which upload.
    pub(crate) fn upload(&self) -> &UploadId {
        &self.ticket.upload
    }

    /// Its file is about to be made.
    pub(crate) fn comes(&mut self) {
        let upload = self.upload().clone();
        self.ticket.uploads.files().insert(upload);
    }

    /// It has no file any more.
    pub(crate) fn is_gone(&mut self) {
        self.ticket.uploads.files().remove(self.upload());
    }

    pub(crate) fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    pub(crate) fn known(&self) -> Option<&(u64, Sha256)> {
        self.progress.hashed.as_ref()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut entries = self.uploads.entries();
        let Some(entry) = entries.get(&self.upload) else {
            return;
        };
        // Copies are made only under this lock: if this is the only one, nobody works or waits.
        let nothing_known = entry
            .try_lock()
            .is_ok_and(|progress| progress.hashed.is_none());
        if nothing_known && Arc::strong_count(entry) == 1 {
            entries.remove(&self.upload);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use sha2::Digest;

    use super::*;

    #[tokio::test]
    async fn nothing_is_kept_of_what_nothing_is_known() {
        let uploads = Arc::new(Uploads::new(tempfile::tempfile().unwrap(), HashSet::new()));
        let id = UploadId::new("a").unwrap();
        let mut first = uploads.hold(&id).await;
        {
            let waiting = uploads.hold(&id);
            assert!(waiting.now_or_never().is_none(), "two hold one upload");
        }
        assert_eq!(uploads.len(), 1);
        first.progress().hashed = Some((0, Sha256::new()));
        drop(first);
        assert_eq!(uploads.len(), 1, "the hash is forgotten");
        uploads.hold(&id).await.progress().hashed = None;
        assert_eq!(uploads.len(), 0);
    }

    #[tokio::test]
    async fn who_waits_goes_on_with_the_same_entry() {
        let uploads = Arc::new(Uploads::new(tempfile::tempfile().unwrap(), HashSet::new()));
        let id = UploadId::new("a").unwrap();
        let first = uploads.hold(&id).await;
        let mut second = Box::pin(uploads.hold(&id));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let third = uploads.hold(&id);
        let second = second.await;
        assert!(third.now_or_never().is_none(), "two hold one upload");
        drop(second);
        assert_eq!(uploads.len(), 0);
    }
}
