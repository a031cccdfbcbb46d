//! Questions for records, several answered in one snapshot.
//!
//! A question of its own takes a visit to another thread, and beginning and ending a snapshot: more than looking up the few
//! records that most ask for. So those that come while others are answered wait, and go together.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::{iter, mem};

use grange_interfaces::StoreError;
use grange_model::{Key, Record};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::read;
use crate::readers::Readers;

/// Keys that are looked up in one snapshot. A question that has more has one of its own.
const GROUP: usize = 1_000;

/// As long as no more than so many wait for each who answers, they go together sooner or later.
const CROWD: usize = 50;

type Answer = Result<Vec<Option<Record>>, StoreError>;

#[derive(Debug)]
struct Question {
    keys: Vec<Key>,
    answer: oneshot::Sender<Answer>,
}

/// The questions that wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gets(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Question>,
    /// How many answer them.
    answering: usize,
}

impl Gets {
    /// The records under these keys, in their order, all as of one moment that is not before now.
    pub(crate) async fn get(&self, readers: &Arc<Readers>, keys: Vec<Key>) -> Answer {
        if keys.len() > GROUP {
            // Nobody waits for it, and it waits for nobody.
            let look = move |snapshot: &Connection| {
                keys.iter().map(|key| read::get(snapshot, key)).collect()
            };
            return readers.ask(look).await;
        }
        let (answer, answered) = oneshot::channel();
        let begin = {
            let mut queue = self.queue();
            queue.waiting.push_back(Question { keys, answer });
            let begin =
                queue.answering < readers.count() && queue.waiting.len() > CROWD * queue.answering;
            queue.answering += usize::from(begin);
            begin
        };
        if begin {
            let place = Place {
                gets: self.clone(),
                left: false,
            };
            tokio::spawn(answer_all(place, Arc::downgrade(readers)));
        }
        let ended = |_| StoreError::Unavailable("a reader ended".into());
        answered.await.map_err(ended)?
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nobody panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer_all(mut place: Place, readers: Weak<Readers>) {
    while let Some(mut group) = place.next() {
        // Whoever has gone needs no answer.
        group.retain(|question| !question.answer.is_closed());
        let keys: Vec<_> = group.iter_mut().map(|it| mem::take(&mut it.keys)).collect();
        let found = Arc::new(Mutex::new(Vec::new()));
        let Some(readers) = readers.upgrade() else {
            return;
        };
        let (looked, put) = (Arc::clone(&found), |found: &Mutex<Vec<Answer>>, answer| {
            found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(answer);
        });
        let asked = readers.ask(move |snapshot| {
            let mut all = Ok(());
            for keys in keys {
                let answer: Answer = keys.iter().map(|key| read::get(snapshot, key)).collect();
                if let Err(error) = &answer {
                    // The connection is not used again then.
                    all = Err(error.clone());
                }
                put(&looked, answer);
            }
            all
        });
        let failed = asked.await.err();
        // Whoever has its answer may close the store.
        drop(readers);
        let found = mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        let rest = || StoreError::Unavailable("a reader ended".into());
        let rest = Err(failed.unwrap_or_else(rest));
        let answers = found.into_iter().chain(iter::repeat(rest));
        for (question, answer) in group.into_iter().zip(answers) {
            let _ = question.answer.send(answer);
        }
    }
}

/// A place among those who answer.
struct Place {
    gets: Gets,
    left: bool,
}

impl Place {
    /// What is to be answered next; none if nothing is, and then the place is given up.
    fn next(&mut self) -> Option<Vec<Question>> {
        let mut queue = self.gets.queue();
        let mut group = Vec::new();
        let mut keys = 0;
        while let Some(question) = queue.waiting.front() {
            keys += question.keys.len();
            if keys > GROUP {
                break;
            }
            group.extend(queue.waiting.pop_front());
        }
        if group.is_empty() {
            queue.answering -= 1;
            self.left = true;
            return None;
        }
        Some(group)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            self.gets.queue().answering -= 1;
        }
    }
}
