//! Who needs an output.

use std::ops::Range;

use crate::slab::{Ix, Slab};
use crate::tables::Derivation;

/// So many more find room in a list that is full, or a quarter of it: there are twenty for each of a million builds, and a list
/// that doubles would be half empty at worst.
const MORE: usize = 4;

/// Derivations that need an output, in the order in which they came: those with unfinished builds, and stale ones, which are told
/// by the generation.
#[derive(Debug, Default)]
pub(crate) struct Users(Vec<User>);

/// A row and its generation, in six bytes.
#[derive(Clone, Copy, Debug)]
struct User {
    row: [u8; 4],
    generation: u16,
}

impl User {
    fn get(self) -> (Ix<Derivation>, u32) {
        let row = u32::from_ne_bytes(self.row);
        (Ix::new(row), self.generation.into())
    }
}

impl Users {
    pub(crate) fn push(&mut self, user: Ix<Derivation>, generation: u32) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact((self.0.len() / 4).max(MORE));
        }
        let generation = u16::try_from(generation);
        self.0.push(User {
            row: user.0.to_ne_bytes(),
            generation: generation.expect("a row is given up before its generation needs more"),
        });
    }

    /// Forgets those that have no unfinished builds any more.
    pub(crate) fn forget_stale(&mut self, derivations: &Slab<Derivation>) {
        self.0.retain(|user| {
            let (user, generation) = user.get();
            derivations.is_current(user, generation)
        });
    }

    /// The last first.
    pub(crate) fn reverse(&mut self) {
        self.0.reverse();
    }

    /// How many there are, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// One of them, with its generation.
    pub(crate) fn at(&self, at: usize) -> (Ix<Derivation>, u32) {
        self.0[at].get()
    }

    /// Some of them, with their generations.
    pub(crate) fn range(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = (Ix<Derivation>, u32)> + '_ {
        self.0[range].iter().map(|user| user.get())
    }

    /// Those with unfinished builds.
    pub(crate) fn current<'a>(
        &'a self,
        derivations: &'a Slab<Derivation>,
    ) -> impl Iterator<Item = Ix<Derivation>> + 'a {
        let all = self.0.iter().map(|user| user.get());
        let current = all.filter(|(user, generation)| derivations.is_current(*user, *generation));
        current.map(|(user, _)| user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_small() {
        assert_eq!(size_of::<User>(), 6);
    }
}
