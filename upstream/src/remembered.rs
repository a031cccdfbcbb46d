//! What is believed for a while.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Values that are forgotten when they are old, or when there are too many: the oldest first.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    time: Duration,
    most: usize,
    values: HashMap<K, Value<V>>,
    /// Oldest first. One that was put again, or forgotten, stands here with a number that is not its own.
    order: VecDeque<(u64, K)>,
    next: u64,
}

#[derive(Debug)]
struct Value<V> {
    number: u64,
    put: Instant,
    value: V,
}

impl<K: Clone + Eq + Hash, V: Clone> Remembered<K, V> {
    pub(crate) fn new(time: Duration, most: usize) -> Self {
        Self {
            time,
            most: most.max(1),
            values: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
        }
    }

    pub(crate) fn put(&mut self, now: Instant, key: K, value: V) {
        let number = self.next;
        self.next += 1;
        let value = Value {
            number,
            put: now,
            value,
        };
        self.values.insert(key.clone(), value);
        self.order.push_back((number, key));
        while let Some((number, key)) = self.order.front() {
            let own = self.values.get(key).filter(|value| value.number == *number);
            if let Some(value) = own {
                let old = now.saturating_duration_since(value.put) >= self.time;
                if !old && self.order.len() <= self.most {
                    break;
                }
                self.values.remove(key);
            }
            self.order.pop_front();
        }
    }

    pub(crate) fn get(&self, now: Instant, key: &K) -> Option<V> {
        let value = self.values.get(key)?;
        let fresh = now.saturating_duration_since(value.put) < self.time;
        fresh.then(|| value.value.clone())
    }

    pub(crate) fn forget(&mut self, key: &K) {
        self.values.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_or_too_much_is_forgotten() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut memory = Remembered::new(Duration::from_secs(10), 3);
        memory.put(at(0), 'a', 1);
        assert_eq!(memory.get(at(9), &'a'), Some(1));
        assert_eq!(memory.get(at(10), &'a'), None);
        memory.put(at(5), 'a', 2);
        assert_eq!(memory.get(at(12), &'a'), Some(2));
        for (n, key) in ['b', 'c', 'd'].into_iter().enumerate() {
            memory.put(at(6 + n as u64), key, 3);
        }
        assert_eq!(memory.get(at(9), &'a'), None);
        assert_eq!(memory.get(at(9), &'b'), Some(3));
        memory.forget(&'b');
        assert_eq!(memory.get(at(9), &'b'), None);
        memory.put(at(30), 'e', 4);
        assert_eq!(
            (memory.values.len(), memory.order.len()),
            (1, 1),
            "{memory:?}"
        );
    }

    #[test]
    fn the_same_again_and_again_takes_no_more_room() {
        let now = Instant::now();
        let mut memory = Remembered::new(Duration::from_secs(10), 3);
        for value in 0..100 {
            memory.put(now, 'a', value);
            memory.forget(&'b');
        }
        assert_eq!(memory.get(now, &'a'), Some(99));
        assert!(memory.order.len() <= 3);
    }
}
