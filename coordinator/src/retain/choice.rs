//! Which of the items go, and in which order.
//!
//! Each item has a time until which it was of use; what has to stay is of use for ever. What an item
//! refers to is of use as long as the item is. So whatever goes by its age goes together with all that
//! refers to it, which goes before it.
//!
//! The outputs of one derivation go or stay together, as if they referred to each other. Counter-example
//! for choosing them one by one: `doc` goes and `out` stays; `doc` is asked for again, so that the derivation
//! is built again, and the new `doc` lies beside the old `out`: outputs of two attempts, mixed.

use grange_interfaces::message::Held;
use grange_model::{Digest, ItemRecord};

/// Of use for ever.
const STAYS: u64 = u64::MAX;

/// Leads back to nothing that is open.
const DONE: u32 = u32::MAX;

/// All items, in the order of their digests: some 40 bytes each (70 while it is chosen), and 4 for each
/// reference (20 while they are read).
#[derive(Debug, Default)]
pub(super) struct Items {
    digests: Vec<Digest>,
    bytes: Vec<u64>,
    /// Milliseconds since 1970; 0 if nobody has ever asked for it.
    used: Vec<u64>,
    /// Where the references of each begin.
    begins: Vec<usize>,
    named: Vec<Digest>,
    references: Vec<u32>,
    /// The outputs of each derivation: from each to the next, and from the last to the first. Sorted
    /// when it comes to choosing.
    siblings: Vec<(u32, u32)>,
}

/// All items, references before what refers to them, in units: what goes or stays as one.
#[derive(Debug, Default)]
struct Units {
    places: Vec<u32>,
    /// Where each unit ends.
    ends: Vec<usize>,
}

/// What goes, what refers to others before these.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Places of items.
    pub(super) goes: Vec<u32>,
    /// Where each unit of these ends.
    ends: Vec<usize>,
    pub(super) gone: Held,
    pub(super) left: Held,
}

impl Items {
    /// Adds an item behind all others. Sources stay.
    pub(super) fn push(&mut self, record: &ItemRecord) {
        self.digests.push(record.item.digest);
        self.bytes.push(record.blob_size);
        let is_source = record.deriver.is_none();
        self.used.push(if is_source { STAYS } else { 0 });
        self.begins.push(self.named.len());
        let references = record.references.iter().map(|item| item.digest);
        self.named
            .extend(references.filter(|item| *item != record.item.digest));
    }

    /// Ends the reading.
    pub(super) fn connect(&mut self) {
        self.begins.push(self.named.len());
        self.references.reserve_exact(self.named.len());
        for named in std::mem::take(&mut self.named) {
            // What is not among them came later, and is relied on by what refers to it.
            let place = self.place(named).unwrap_or(u32::MAX);
            self.references.push(place);
        }
    }

    pub(super) fn place(&self, digest: Digest) -> Option<u32> {
        let place = self.digests.binary_search(&digest).ok()?;
        u32::try_from(place).ok()
    }

    pub(super) fn digest(&self, place: u32) -> Digest {
        self.digests[place as usize]
    }

    pub(super) fn bytes(&self, place: u32) -> u64 {
        self.bytes[place as usize]
    }

    /// When it was of use last; none for never.
    pub(super) fn used_at(&self, place: u32) -> Option<u64> {
        Some(self.used[place as usize]).filter(|used| *used > 0)
    }

    /// Those that may go, in the order of their digests.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Digest> + '_ {
        let candidates = self.digests.iter().zip(&self.used);
        candidates
            .filter(|(_, used)| **used != STAYS)
            .map(|(digest, _)| *digest)
    }

    pub(super) fn keep(&mut self, digest: Digest) {
        self.used_until(digest, STAYS);
    }

    pub(super) fn used_until(&mut self, digest: Digest, milliseconds: u64) {
        if let Some(place) = self.place(digest) {
            let used = &mut self.used[place as usize];
            *used = (*used).max(milliseconds);
        }
    }

    /// These are outputs of one derivation.
    pub(super) fn join(&mut self, outputs: &[u32]) {
        if let [first, _, ..] = outputs {
            let next = outputs[1..].iter().chain([first]);
            let links = outputs.iter().zip(next).map(|(one, next)| (*one, *next));
            self.siblings.extend(links);
        }
    }

    fn references(&self, place: u32) -> &[u32] {
        let place = place as usize;
        &self.references[self.begins[place]..self.begins[place + 1]]
    }

    fn siblings(&self, place: u32) -> &[(u32, u32)] {
        let begin = self.siblings.partition_point(|(one, _)| *one < place);
        let all = &self.siblings[begin..];
        &all[..all.partition_point(|(one, _)| *one == place)]
    }

    /// What has to be here as long as this is: what it refers to, then the next outputs of its derivations.
    fn needs(&self, place: u32, at: usize) -> Option<u32> {
        let references = self.references(place);
        match references.get(at) {
            Some(next) => Some(*next),
            None => {
                let siblings = self.siblings(place).get(at - references.len());
                siblings.map(|(_, next)| *next)
            }
        }
    }

    /// Chooses those that were of no use from `since` on, and of these the oldest until at most `most`
    /// bytes are left. A unit of more than `largest` items stays, since it cannot go at once.
    pub(super) fn choose(&mut self, since: u64, most: Option<u64>, largest: usize) -> Choice {
        self.siblings.sort_unstable();
        self.siblings.dedup();
        let mut units = self.spread();
        if self.keep_large(&units, largest) {
            units = self.spread();
        }
        let mut choice = Choice::default();
        for bytes in &self.bytes {
            choice.left.add(*bytes);
        }
        for unit in units.iter().rev() {
            let used = unit.iter().map(|place| self.used[*place as usize]).max();
            let used = used.unwrap_or(STAYS);
            if used == STAYS || used >= since || most.is_some_and(|most| choice.left.bytes <= most)
            {
                break;
            }
            for place in unit.iter().rev() {
                let bytes = self.bytes(*place);
                choice.gone.add(bytes);
                choice.left.count -= 1;
                choice.left.bytes -= bytes;
                choice.goes.push(*place);
            }
            choice.ends.push(choice.goes.len());
        }
        choice
    }

    /// Whether there were any.
    fn keep_large(&mut self, units: &Units, largest: usize) -> bool {
        let large = units.iter().filter(|unit| unit.len() > largest);
        let mut any = false;
        for place in large.flatten() {
            self.used[*place as usize] = STAYS;
            any = true;
        }
        any
    }

    /// What an item needs is of use as long as the item. Returns all of them, those of longest use
    /// first, and references before what refers to them. Items that need each other are one unit
    /// (the strongly connected components, found as Tarjan does).
    fn spread(&mut self) -> Units {
        let count = self.digests.len();
        let mut roots: Vec<u32> = (0..).take(count).collect();
        roots.sort_by_key(|place| std::cmp::Reverse(self.used[*place as usize]));
        // In which order they were found, from 1 on; 0 for those that were not yet.
        let mut found = vec![0_u32; count];
        // The first found that it leads back to; [`DONE`] for those that are in a unit.
        let mut back = vec![0_u32; count];
        // Those that are in no unit yet.
        let mut open: Vec<u32> = Vec::new();
        // Items, and how many of those that they need were looked at.
        let mut path: Vec<(u32, usize)> = Vec::new();
        let mut units = Units::default();
        let mut last = 0;
        for root in roots {
            let used = self.used[root as usize];
            let mut enters = (found[root as usize] == 0).then_some(root);
            loop {
                if let Some(place) = enters.take() {
                    last += 1;
                    found[place as usize] = last;
                    back[place as usize] = last;
                    self.used[place as usize] = used;
                    open.push(place);
                    path.push((place, 0));
                }
                let Some((place, at)) = path.last_mut() else {
                    break;
                };
                let place = *place;
                if let Some(next) = self.needs(place, *at) {
                    *at += 1;
                    match found.get(next as usize) {
                        Some(0) => enters = Some(next),
                        Some(_) => lower(&mut back, place, next),
                        None => {}
                    }
                    continue;
                }
                path.pop();
                if let Some((before, _)) = path.last() {
                    lower(&mut back, *before, place);
                }
                if back[place as usize] == found[place as usize] {
                    while let Some(member) = open.pop() {
                        back[member as usize] = DONE;
                        units.places.push(member);
                        if member == place {
                            break;
                        }
                    }
                    units.ends.push(units.places.len());
                }
            }
        }
        units
    }

    /// Takes items and all that they need out of what goes: `stays` is true for each that does.
    pub(super) fn rescue(&self, items: &[Digest], stays: &mut [bool]) {
        let mut next: Vec<u32> = items.iter().filter_map(|item| self.place(*item)).collect();
        while let Some(place) = next.pop() {
            match stays.get_mut(place as usize) {
                Some(stays) if !*stays => *stays = true,
                _ => continue,
            }
            next.extend(self.references(place));
            next.extend(self.siblings(place).iter().map(|(_, next)| *next));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.digests.len()
    }
}

/// What one leads back to, the other does, too.
fn lower(back: &mut [u32], other: u32, one: u32) {
    back[other as usize] = back[other as usize].min(back[one as usize]);
}

impl Units {
    fn iter(&self) -> impl DoubleEndedIterator<Item = &[u32]> {
        let place = |at: usize| at.checked_sub(1).map_or(0, |before| self.ends[before]);
        (0..self.ends.len()).map(move |at| &self.places[place(at)..self.ends[at]])
    }
}

impl Choice {
    /// What goes in slices of at most so many, none of which ends within a unit.
    pub(super) fn slices(&self, most: usize) -> Vec<&[u32]> {
        let mut slices = Vec::new();
        let (mut begin, mut end) = (0, 0);
        for next in &self.ends {
            if *next - begin > most {
                slices.push(&self.goes[begin..end]);
                begin = end;
            }
            end = *next;
        }
        slices.push(&self.goes[begin..end]);
        slices.retain(|slice| !slice.is_empty());
        slices
    }
}

#[cfg(test)]
mod tests {
    use grange_model::{BlobId, Item, NarHash};

    use super::*;

    fn digest(number: u8) -> Digest {
        Digest([number; 20])
    }

    fn item(number: u8) -> Item {
        Item {
            digest: digest(number),
            name: "it".to_owned(),
        }
    }

    /// Items of so many bytes as their number, with when they were used and what they refer to.
    fn items(of: &[(u8, u64, &[u8])]) -> Items {
        let mut items = Items::default();
        for (number, _, references) in of {
            items.push(&ItemRecord {
                item: item(*number),
                store: "/gnu/store".to_owned(),
                nar_hash: NarHash([0; 32]),
                nar_size: 1,
                references: references.iter().map(|number| item(*number)).collect(),
                deriver: (*number < 100).then(|| item(200)),
                blob: BlobId([0; 32]),
                blob_size: u64::from(*number),
            });
        }
        items.connect();
        for (number, used, _) in of {
            items.used_until(digest(*number), *used);
        }
        items
    }

    fn goes(items: &mut Items, since: u64, most: Option<u64>) -> Vec<u8> {
        let choice = items.choose(since, most, 3);
        let all: u64 = items.bytes.iter().sum();
        assert_eq!(choice.gone.bytes + choice.left.bytes, all);
        assert_eq!(choice.goes.len() as u64, choice.gone.count);
        let numbers = choice.goes.iter().map(|place| items.digest(*place).0[0]);
        numbers.collect()
    }

    #[test]
    fn what_is_referred_to_is_of_use_as_long() {
        let of: &[(u8, u64, &[u8])] =
            &[(1, 50, &[2, 1]), (2, 10, &[3]), (3, 5, &[]), (4, 40, &[3])];
        assert_eq!(goes(&mut items(of), 45, None), [4]);
        assert_eq!(goes(&mut items(of), 40, None), [0; 0]);
        assert_eq!(goes(&mut items(of), 51, None), [4, 1, 2, 3]);
    }

    #[test]
    fn the_oldest_go_until_there_is_room() {
        let of: &[(u8, u64, &[u8])] = &[(1, 30, &[]), (2, 10, &[]), (3, 20, &[]), (100, 0, &[])];
        assert_eq!(goes(&mut items(of), STAYS, Some(106)), [0; 0]);
        assert_eq!(goes(&mut items(of), STAYS, Some(105)), [2]);
        assert_eq!(goes(&mut items(of), STAYS, Some(103)), [2, 3]);
        assert_eq!(goes(&mut items(of), STAYS, Some(0)), [2, 3, 1]);
        assert_eq!(goes(&mut items(of), 15, Some(0)), [2]);
    }

    #[test]
    fn what_stays_keeps_its_closure() {
        let of: &[(u8, u64, &[u8])] = &[(1, 0, &[2]), (2, 0, &[3]), (3, 0, &[]), (100, 0, &[3])];
        assert_eq!(goes(&mut items(of), STAYS, None), [1, 2]);
        let mut kept = items(of);
        kept.keep(digest(2));
        assert_eq!(goes(&mut kept, STAYS, None), [1]);
        let mut stays = vec![false; kept.len()];
        kept.rescue(&[digest(2), digest(77)], &mut stays);
        assert_eq!(stays, [false, true, true, false]);
    }

    /// Two outputs of one derivation may refer to each other.
    #[test]
    fn circles_go_or_stay_as_one() {
        let of: &[(u8, u64, &[u8])] = &[(1, 9, &[2]), (2, 3, &[1]), (3, 5, &[])];
        assert_eq!(goes(&mut items(of), 6, None), [3]);
        assert_eq!(goes(&mut items(of), 10, None).len(), 3);
    }

    #[test]
    fn outputs_of_a_derivation_go_or_stay_as_one() {
        // 1 and 2 are of one derivation, and so are 3 and 4; 1 refers to 3, and 5 to 4.
        let of: &[(u8, u64, &[u8])] = &[
            (1, 7, &[3]),
            (2, 9, &[]),
            (3, 2, &[]),
            (4, 1, &[]),
            (5, 4, &[4]),
        ];
        let joined = || {
            let mut items = items(of);
            // Two derivations may have the same outputs.
            for outputs in [[0, 1], [1, 0], [3, 2]] {
                items.join(&outputs);
            }
            items.join(&[4]);
            items
        };
        assert_eq!(goes(&mut joined(), 9, None), [5]);
        let all = goes(&mut joined(), 10, None);
        assert_eq!(all[0], 5);
        assert_eq!(units(&all), [[5, 5], [1, 2], [3, 4]]);
        // A size that ends within a unit.
        for left in [8, 9] {
            assert_eq!(goes(&mut joined(), STAYS, Some(left)).len(), 3);
        }
        for kept in 1..=4 {
            let mut items = joined();
            items.keep(digest(kept));
            let least = if kept < 3 { 1 } else { 3 };
            assert_eq!(goes(&mut items, STAYS, None).len(), least);
        }
        let mut items = joined();
        let choice = items.choose(STAYS, None, 3);
        assert_eq!(choice.slices(2).len(), 3);
        assert_eq!(choice.slices(3).concat(), choice.goes);
        assert_eq!(choice.slices(3)[0].len(), 3);
        let mut stays = vec![false; items.len()];
        items.rescue(&[digest(2)], &mut stays);
        assert_eq!(stays, [true, true, true, true, false]);
    }

    /// The first and the last of each.
    fn units(all: &[u8]) -> [[u8; 2]; 3] {
        let sorted = |one: u8, other: u8| [one.min(other), one.max(other)];
        [
            sorted(all[0], all[0]),
            sorted(all[1], all[2]),
            sorted(all[3], all[4]),
        ]
    }

    #[test]
    fn what_cannot_go_at_once_stays() {
        let of: &[(u8, u64, &[u8])] = &[(1, 0, &[2]), (2, 0, &[3]), (3, 0, &[1, 4]), (4, 0, &[])];
        let joined = |outputs: &[u32]| {
            let mut items = items(of);
            items.join(outputs);
            items
        };
        assert_eq!(goes(&mut joined(&[]), STAYS, None).len(), 4);
        assert_eq!(goes(&mut joined(&[2, 3]), STAYS, None), [0; 0]);
        let choice = Choice::default();
        assert!(choice.slices(3).is_empty());
    }
}
