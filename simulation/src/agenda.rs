//! What is going to happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Moment;

/// Events by time; of two at the same time the one that was put in first comes first.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    entries: u64,
}

#[derive(Debug)]
struct Entry<E> {
    place: (Moment, u64),
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            entries: 0,
        }
    }

    pub(crate) fn put(&mut self, at: Moment, event: E) {
        self.entries += 1;
        let place = (at, self.entries);
        self.heap.push(Reverse(Entry { place, event }));
    }

    pub(crate) fn next(&mut self) -> Option<(Moment, E)> {
        let Reverse(entry) = self.heap.pop()?;
        Some((entry.place.0, entry.event))
    }
}
