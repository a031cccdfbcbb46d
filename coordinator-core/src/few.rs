//! Short lists.

use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

/// A list that nearly always has one element, or none, and then takes 16 bytes and no others.
///
/// Each of a million rows has several of these; a vector takes 24 bytes in a row, and a [`SmallVec`] does so too.
#[derive(Clone, Debug, Default)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    /// Two or more.
    #[expect(
        clippy::box_collection,
        reason = "a vector itself takes 24 bytes, also where it is not"
    )]
    Many(Box<Vec<T>>),
}

impl<T: Copy> Few<T> {
    pub(crate) fn push(&mut self, value: T) {
        self.insert(self.len(), value);
    }

    pub(crate) fn insert(&mut self, at: usize, value: T) {
        match self {
            Self::None => *self = Self::One(value),
            Self::One(one) => {
                let mut all = vec![*one];
                all.insert(at, value);
                *self = Self::Many(Box::new(all));
            }
            Self::Many(all) => all.insert(at, value),
        }
    }

    pub(crate) fn remove(&mut self, at: usize) {
        let mut here = 0..;
        self.retain(|_| here.next() != Some(at));
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match self {
            Self::None => {}
            Self::One(one) => {
                if !keep(one) {
                    *self = Self::None;
                }
            }
            Self::Many(all) => {
                all.retain(keep);
                match all[..] {
                    [] => *self = Self::None,
                    [one] => *self = Self::One(one),
                    _ => {}
                }
            }
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(all) => all,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(all) => all,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: Copy> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = smallvec::IntoIter<[T; 1]>;

    fn into_iter(self) -> Self::IntoIter {
        SmallVec::from_slice(&self).into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_a_vector_is() {
        let (mut few, mut all) = (Few::default(), Vec::new());
        // Each length up to four is grown to and shrunk to, at either end.
        for (at, value) in [(0, 1), (1, 2), (0, 3), (1, 4)] {
            few.insert(at, value);
            all.insert(at, value);
            assert_eq!(*few, *all);
        }
        few.push(5);
        few.retain(|value| *value != 5);
        assert_eq!(few.clone().into_iter().collect::<Vec<_>>(), all);
        for at in [3, 0, 1, 0] {
            few.remove(at);
            all.remove(at);
            assert_eq!(*few, *all);
        }
        assert!(matches!(few, Few::None));
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Few<u32>>(), 16);
        assert_eq!(size_of::<Few<(i32, u32)>>(), 16);
    }
}
