//! Tables with dense indices.

use std::marker::PhantomData;

/// How many rows lie in one piece.
const PIECE: usize = 1_024;

/// What a table may hold.
pub(crate) trait Content: std::fmt::Debug {
    /// What is looked at for each edge of the graph. It lies apart from the rest, close together: at a million rows
    /// each look at a row waits for memory.
    type Hot: Copy + Default + std::fmt::Debug;
}

/// A table of `T` whose indices are used again.
///
/// Indices are typed by `T`, so that a row of one table is not looked up in another. Rows lie in
/// pieces that are never moved: a table that grows as one piece copies all of itself in one call.
#[derive(Debug)]
pub(crate) struct Slab<T: Content> {
    pieces: Vec<Piece<T>>,
    free: Vec<u32>,
    /// Rows that are never filled again, as they were in every generation.
    worn: usize,
}

/// In which a row is filled no more: what it held is told from what it holds by six bytes in all, of which there are twenty for
/// each of a million builds. A row goes through so many in as many builds, so that hardly one is ever given up.
const LAST_GENERATION: u16 = u16::MAX;

#[derive(Debug)]
struct Piece<T: Content> {
    heads: Vec<Head<T::Hot>>,
    rows: Vec<Option<T>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head<H> {
    hot: H,
    generation: u16,
}

impl<H> Head<H> {
    fn generation(&self) -> u32 {
        self.generation.into()
    }
}

/// A row of a [`Slab`].
pub(crate) struct Ix<T>(pub(crate) u32, PhantomData<fn() -> T>);

impl<T> Ix<T> {
    pub(crate) fn new(row: u32) -> Self {
        Self(row, PhantomData)
    }
}

impl<T> Clone for Ix<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ix<T> {}

impl<T> PartialEq for Ix<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Ix<T> {}

impl<T> PartialOrd for Ix<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ix<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T> std::fmt::Debug for Ix<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl<T: Content> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            pieces: Vec::new(),
            free: Vec::new(),
            worn: 0,
        }
    }

    /// The row that the next [`insert`](Self::insert) fills, and its generation.
    pub(crate) fn vacant(&self) -> (u32, u32) {
        match self.free.last() {
            Some(&row) => (row, self.head(row).map_or(0, Head::generation)),
            None => {
                let rows = u32::try_from(self.rows());
                (rows.expect("fewer than 2^32 rows"), 0)
            }
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> Ix<T> {
        let (row, _) = self.vacant();
        self.free.pop();
        self.insert_at(row, value)
    }

    /// Fills a given row, while a table is loaded; [`seal`](Self::seal) ends that.
    pub(crate) fn insert_at(&mut self, row: u32, value: T) -> Ix<T> {
        while self.rows() <= row as usize {
            self.add_row();
        }
        *self.row_mut(row) = Some(value);
        let ix = Ix::new(row);
        *self.hot_mut(ix) = T::Hot::default();
        ix
    }

    /// Finds the rows that loading left free.
    pub(crate) fn seal(&mut self) {
        let rows = (0..).zip(self.pieces.iter().flat_map(|piece| &piece.rows));
        let free = rows.filter(|(_, content)| content.is_none());
        self.free = free.map(|(row, _)| row).collect();
        self.free.reverse();
    }

    pub(crate) fn remove(&mut self, ix: Ix<T>) -> Option<T> {
        let value = self.row_mut(ix.0).take()?;
        let head = self.head_mut(ix.0);
        head.generation += 1;
        if head.generation == LAST_GENERATION {
            self.worn += 1;
        } else {
            self.free.push(ix.0);
        }
        Some(value)
    }

    /// Which of those that the row has held it holds now.
    pub(crate) fn generation(&self, ix: Ix<T>) -> u32 {
        // That of an empty row would seem to be current.
        debug_assert!(self.get(ix).is_some(), "the row is filled");
        self.head(ix.0).map_or(0, Head::generation)
    }

    /// Whether the row still holds what it held in that generation, which was asked for while it was filled.
    pub(crate) fn is_current(&self, ix: Ix<T>, generation: u32) -> bool {
        // It became another when the row was emptied.
        self.head(ix.0)
            .is_some_and(|head| head.generation() == generation)
    }

    /// What is hot of the row, if it still holds what it held in that generation.
    pub(crate) fn current_mut(&mut self, ix: Ix<T>, generation: u32) -> Option<&mut T::Hot> {
        let head = self.head_mut(ix.0);
        (head.generation() == generation).then_some(&mut head.hot)
    }

    /// What is hot of a filled row.
    pub(crate) fn hot(&self, ix: Ix<T>) -> &T::Hot {
        let row = ix.0 as usize;
        &self.pieces[row / PIECE].heads[row % PIECE].hot
    }

    /// The same, to be changed.
    pub(crate) fn hot_mut(&mut self, ix: Ix<T>) -> &mut T::Hot {
        &mut self.head_mut(ix.0).hot
    }

    pub(crate) fn get(&self, ix: Ix<T>) -> Option<&T> {
        let row = ix.0 as usize;
        self.pieces
            .get(row / PIECE)?
            .rows
            .get(row % PIECE)?
            .as_ref()
    }

    pub(crate) fn get_mut(&mut self, ix: Ix<T>) -> Option<&mut T> {
        let row = ix.0 as usize;
        self.pieces
            .get_mut(row / PIECE)?
            .rows
            .get_mut(row % PIECE)?
            .as_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows() - self.free.len() - self.worn
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ix<T>, &T)> + Clone {
        let rows = (0..).zip(self.pieces.iter().flat_map(|piece| &piece.rows));
        rows.filter_map(|(row, content)| Some((Ix::new(row), content.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let rows = self.pieces.iter_mut().flat_map(|piece| &mut piece.rows);
        rows.flatten()
    }

    /// How many rows there are, filled or not.
    pub(crate) fn rows(&self) -> usize {
        let last = self.pieces.last().map_or(PIECE, |piece| piece.rows.len());
        self.pieces.len() * PIECE + last - PIECE
    }

    fn add_row(&mut self) {
        let full = |piece: &Piece<T>| piece.rows.len() == PIECE;
        if self.pieces.last().is_none_or(full) {
            self.pieces.push(Piece {
                heads: Vec::with_capacity(PIECE),
                rows: Vec::with_capacity(PIECE),
            });
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.heads.push(Head::default());
            piece.rows.push(None);
        }
    }

    fn head(&self, row: u32) -> Option<&Head<T::Hot>> {
        let row = row as usize;
        self.pieces.get(row / PIECE)?.heads.get(row % PIECE)
    }

    fn head_mut(&mut self, row: u32) -> &mut Head<T::Hot> {
        let row = row as usize;
        &mut self.pieces[row / PIECE].heads[row % PIECE]
    }

    fn row_mut(&mut self, row: u32) -> &mut Option<T> {
        let row = row as usize;
        &mut self.pieces[row / PIECE].rows[row % PIECE]
    }
}

/// An index names a filled row: rows are emptied only by who holds the last index.
impl<T: Content> std::ops::Index<Ix<T>> for Slab<T> {
    type Output = T;

    fn index(&self, ix: Ix<T>) -> &T {
        self.get(ix).expect("the row is filled")
    }
}

impl<T: Content> std::ops::IndexMut<Ix<T>> for Slab<T> {
    fn index_mut(&mut self, ix: Ix<T>) -> &mut T {
        self.row_mut(ix.0).as_mut().expect("the row is filled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Number(u32);

    impl Content for Number {
        type Hot = ();
    }

    #[test]
    fn what_a_row_held_is_told_from_what_it_holds_however_often_it_is_filled() {
        let mut slab = Slab::new();
        let mut first = None;
        for number in 0..70_000 {
            let ix = slab.insert(Number(number));
            let held = (ix, slab.generation(ix));
            assert_eq!(slab[ix].0, number);
            assert!(slab.is_current(held.0, held.1));
            let (ix, generation) = *first.get_or_insert(held);
            assert_eq!(slab.is_current(ix, generation), number == 0);
            assert_eq!(slab.len(), 1);
            slab.remove(held.0);
            assert!(!slab.is_current(held.0, held.1));
        }
        assert_eq!((slab.len(), slab.rows()), (0, 2));
    }
}
