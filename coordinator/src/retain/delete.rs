//! Deletes what a prune chose, slice by slice.

use std::collections::HashSet;
use std::time::Duration;

use grange_coordinator_core::{Input, MAX_PRUNED, Reply};
use grange_fail_points::{Point, reach};
use grange_interfaces::{Clock, Refusal};
use grange_model::Digest;

use super::choice::{Choice, Items};
use super::relied::Watch;
use crate::handle::Handle;

/// How long a prune waits in all while the coordinator has too much to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it waits at first, and then twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// What became of what was chosen.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// Those that stay after all.
    pub(super) stays: HashSet<Digest>,
    /// Why no more than that went.
    pub(super) ended: Option<Refusal>,
}

/// Asks again what was refused because there was too much to do: a prune that has begun to delete
/// should not end half done for that.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    clock: &'a dyn Clock,
    left: Duration,
    wait: Duration,
}

impl<'a> Patience<'a> {
    pub(super) fn new(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            left: PATIENCE,
            wait: FIRST_WAIT,
        }
    }

    /// Waits, if the same request will do later. Gives the refusal back if not, or if it was waited
    /// long enough.
    pub(super) async fn wait(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        if !refusal.is_transient() || self.left.is_zero() {
            return Err(refusal);
        }
        let wait = self.wait.min(self.left);
        self.left -= wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.clock.sleep(wait).await;
        Ok(())
    }
}

/// Deletes what was chosen. A refusal is an error only as long as nothing is deleted; later, what was
/// not deleted stays.
pub(super) async fn delete(
    handle: &Handle,
    patience: &mut Patience<'_>,
    watch: &Watch,
    items: &Items,
    choice: &Choice,
) -> Result<Deleted, Refusal> {
    let mut stays = vec![false; items.len()];
    let mut deleted = Deleted::default();
    let mut any = false;
    for slice in choice.slices(MAX_PRUNED) {
        if deleted.ended.is_none() {
            match delete_slice(handle, patience, watch, items, slice, &mut stays).await {
                Ok(some) => any |= some,
                Err(refusal) if any => deleted.ended = Some(refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        if deleted.ended.is_some() {
            slice.iter().for_each(|place| stays[*place as usize] = true);
        }
    }
    let chosen = choice.goes.iter();
    let rescued = chosen.filter(|place| stays[**place as usize]);
    deleted.stays = rescued.map(|place| items.digest(*place)).collect();
    Ok(deleted)
}

/// Says whether anything went.
async fn delete_slice(
    handle: &Handle,
    patience: &mut Patience<'_>,
    watch: &Watch,
    items: &Items,
    slice: &[u32],
    stays: &mut [bool],
) -> Result<bool, Refusal> {
    loop {
        let goes = slice.iter().filter(|place| !stays[**place as usize]);
        let goes: Vec<_> = goes.map(|place| items.digest(*place)).collect();
        if goes.is_empty() {
            return Ok(false);
        }
        let (relied, doomed) = watch.doom(&goes);
        if !relied.is_empty() {
            items.rescue(&relied, stays);
            continue;
        }
        let input = move |ticket| Input::Prune {
            ticket,
            outputs: goes,
        };
        reach(Point::PruneBegun);
        let answer = handle.request(input).await;
        reach(Point::PruneCommitted);
        // While it waits, others may rely on them.
        drop(doomed);
        match answer {
            Ok(Reply::Pruned(needed)) if needed.is_empty() => return Ok(true),
            Ok(Reply::Pruned(needed)) => items.rescue(&needed, stays),
            Ok(_) => return Err(crate::endpoint::unexpected()),
            Err(refusal) => patience.wait(refusal).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use grange_coordinator_core::{Denied, DeniedWhy, Ticket};
    use grange_interfaces::Fault;
    use grange_model::{BlobId, Item, ItemRecord, NarHash, Timestamp};
    use tokio::sync::{mpsc, watch};

    use super::super::relied::Relied;
    use super::*;
    use crate::handle::Command;

    /// Counts for how long somebody slept, and takes a command out of the queue each time from some time on.
    #[derive(Debug)]
    struct Sleepy {
        slept: Mutex<Vec<Duration>>,
        commands: tokio::sync::Mutex<mpsc::Receiver<Command>>,
        busy: usize,
    }

    #[async_trait]
    impl Clock for Sleepy {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        async fn sleep(&self, duration: Duration) {
            let times = {
                let mut slept = self.slept.lock().unwrap();
                slept.push(duration);
                slept.len()
            };
            if times >= self.busy {
                let _ = self.commands.lock().await.try_recv();
            }
        }
    }

    impl Sleepy {
        /// Answers the prunes with these.
        async fn answer(&self, replies: Vec<Reply>) -> Vec<Vec<Digest>> {
            let mut asked = Vec::new();
            for reply in replies {
                loop {
                    let command = self.commands.lock().await.try_recv();
                    if let Ok(Command::Input(input, answer)) = command {
                        if let Input::Prune { outputs, .. } = input(Ticket(1)) {
                            asked.push(outputs);
                        }
                        answer.send(reply).unwrap();
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            asked
        }
    }

    fn queue(busy: usize) -> (Handle, mpsc::Sender<Command>, Sleepy) {
        let (commands, received) = mpsc::channel(1);
        let (_, ended) = watch::channel(None);
        let sleepy = Sleepy {
            slept: Mutex::default(),
            commands: tokio::sync::Mutex::new(received),
            busy,
        };
        (Handle::new(commands.clone(), ended), commands, sleepy)
    }

    fn digest(number: u32) -> Digest {
        let mut digest = [0; 20];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        Digest(digest)
    }

    /// So many outputs of one byte, all of which go.
    fn outputs(count: u32) -> (Items, Choice) {
        let mut items = Items::default();
        for number in 0..count {
            let item = Item {
                digest: digest(number),
                name: "it".to_owned(),
            };
            items.push(&ItemRecord {
                deriver: Some(item.clone()),
                item,
                store: "/gnu/store".to_owned(),
                nar_hash: NarHash([0; 32]),
                nar_size: 1,
                references: Vec::new(),
                blob: BlobId([0; 32]),
                blob_size: 1,
            });
        }
        items.connect();
        let choice = items.choose(u64::MAX, None, MAX_PRUNED);
        assert_eq!(choice.goes.len(), count as usize);
        (items, choice)
    }

    fn watch() -> Watch {
        Arc::new(Relied::default()).watch().unwrap()
    }

    #[tokio::test]
    async fn a_full_queue_is_asked_again() {
        let (handle, commands, clock) = queue(3);
        let nothing = Command::Forget(Ticket(0));
        assert!(commands.try_send(nothing).is_ok());
        let (items, choice) = outputs(2);
        let (mut patience, watch) = (Patience::new(&clock), watch());
        let work = delete(&handle, &mut patience, &watch, &items, &choice);
        let answers = clock.answer(vec![Reply::Pruned(Vec::new())]);
        // The prune is asked first: what is in the queue is not for the other to take.
        let (deleted, asked) = tokio::join!(biased; work, answers);
        let deleted = deleted.unwrap();
        assert!(deleted.stays.is_empty() && deleted.ended.is_none());
        assert_eq!(asked[0].len(), 2);
        let slept = clock.slept.lock().unwrap().clone();
        assert_eq!(slept, [100, 200, 400].map(Duration::from_millis));
    }

    #[tokio::test]
    async fn patience_ends() {
        let (handle, commands, clock) = queue(usize::MAX);
        let nothing = Command::Forget(Ticket(0));
        assert!(commands.try_send(nothing).is_ok());
        let (items, choice) = outputs(1);
        let mut patience = Patience::new(&clock);
        let refused = delete(&handle, &mut patience, &watch(), &items, &choice).await;
        assert_eq!(refused.unwrap_err().fault, Fault::Busy);
        let slept: Duration = clock.slept.lock().unwrap().iter().sum();
        assert_eq!(slept, PATIENCE);
    }

    #[tokio::test]
    async fn what_went_before_a_refusal_is_said() {
        let denied = || {
            Reply::Denied(Denied {
                why: DeniedWhy::Wrong,
                message: "no".to_owned(),
            })
        };
        let (items, choice) = outputs(2_500);
        let needed = Reply::Pruned(vec![digest(2_499)]);
        let replies = vec![needed, Reply::Pruned(Vec::new()), denied()];
        let (handle, _, clock) = queue(0);
        let (mut patience, rights) = (Patience::new(&clock), watch());
        let work = delete(&handle, &mut patience, &rights, &items, &choice);
        let (deleted, asked) = tokio::join!(work, clock.answer(replies));
        let deleted = deleted.unwrap();
        assert_eq!(deleted.ended.unwrap().message, "no");
        let [whole, went, _] = &asked[..] else {
            panic!("{} slices", asked.len());
        };
        assert_eq!((whole.len(), went.len()), (1_000, 999));
        assert_eq!(deleted.stays.len(), 1_501);
        assert!(went.iter().all(|output| !deleted.stays.contains(output)));
        assert!(clock.slept.lock().unwrap().is_empty());

        let mut patience = Patience::new(&clock);
        let work = delete(&handle, &mut patience, &rights, &items, &choice);
        let (deleted, _) = tokio::join!(work, clock.answer(vec![denied()]));
        assert_eq!(deleted.unwrap_err().fault, Fault::Caller);
    }
}
