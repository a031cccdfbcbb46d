//! Which of the items go, and in which order.
//!
//! Each item has a time until which it was of use; what has to stay is of use for ever. What an item
//! refers to is of use as long as the item is. So whatever goes by its age goes together with all that
//! refers to it, which goes before it.

use grange_interfaces::message::Held;
use grange_model::{Digest, ItemRecord};

/// Of use for ever.
const STAYS: u64 = u64::MAX;

/// All items, in the order of their digests: some 30 bytes each, and 4 for each reference (20 while
/// they are read).
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
}

/// What goes, what refers to others before these.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Places of items.
    pub(super) goes: Vec<u32>,
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

    fn references(&self, place: u32) -> &[u32] {
        let place = place as usize;
        &self.references[self.begins[place]..self.begins[place + 1]]
    }

    /// Chooses those that were of no use from `since` on, and of these the oldest until at most `most`
    /// bytes are left.
    pub(super) fn choose(&mut self, since: u64, most: Option<u64>) -> Choice {
        let order = self.spread();
        let mut choice = Choice::default();
        for bytes in &self.bytes {
            choice.left.add(*bytes);
        }
        for place in order.into_iter().rev() {
            let used = self.used[place as usize];
            if used == STAYS || used >= since || most.is_some_and(|most| choice.left.bytes <= most)
            {
                break;
            }
            let bytes = self.bytes(place);
            choice.gone.add(bytes);
            choice.left.count -= 1;
            choice.left.bytes -= bytes;
            choice.goes.push(place);
        }
        choice
    }

    /// What an item refers to is of use as long as the item. Returns all of them, those of longest
    /// use first, and references before what refers to them.
    fn spread(&mut self) -> Vec<u32> {
        let mut roots: Vec<u32> = (0..).take(self.digests.len()).collect();
        roots.sort_by_key(|place| std::cmp::Reverse(self.used[*place as usize]));
        let mut seen = vec![false; self.digests.len()];
        let mut order = Vec::with_capacity(self.digests.len());
        // Items, and how many of their references were looked at.
        let mut path: Vec<(u32, usize)> = Vec::new();
        for root in roots {
            let used = self.used[root as usize];
            if !std::mem::replace(&mut seen[root as usize], true) {
                path.push((root, 0));
            }
            while let Some((place, at)) = path.last_mut() {
                let place = *place;
                let Some(&next) = self.references(place).get(*at) else {
                    order.push(place);
                    path.pop();
                    continue;
                };
                *at += 1;
                let known = seen.get_mut(next as usize);
                if known.is_some_and(|seen| !std::mem::replace(seen, true)) {
                    self.used[next as usize] = used;
                    path.push((next, 0));
                }
            }
        }
        order
    }

    /// Takes items and all that they refer to out of what goes: `stays` is true for each that does.
    pub(super) fn rescue(&self, items: &[Digest], stays: &mut [bool]) {
        let mut next: Vec<u32> = items.iter().filter_map(|item| self.place(*item)).collect();
        while let Some(place) = next.pop() {
            match stays.get_mut(place as usize) {
                Some(stays) if !*stays => *stays = true,
                _ => continue,
            }
            next.extend(self.references(place));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.digests.len()
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
        let choice = items.choose(since, most);
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
}
