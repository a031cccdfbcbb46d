//! Cutting what is to be sent into messages.

/// Cuts `items` into runs of at most `count` items and `size` bytes together; an item larger than that goes alone.
pub(super) fn batches<T>(
    items: &[T],
    count: usize,
    size: u64,
    size_of: impl Fn(&T) -> u64,
) -> Vec<&[T]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0_u64);
    for (at, item) in items.iter().enumerate() {
        let more = bytes.saturating_add(size_of(item));
        if at > start && (at - start == count || more > size) {
            batches.push(&items[start..at]);
            start = at;
            bytes = size_of(item);
        } else {
            bytes = more;
        }
    }
    if start < items.len() {
        batches.push(&items[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_count_nor_size_is_exceeded_but_by_one_large_item() {
        let cut = |items: &[u64]| -> Vec<Vec<u64>> {
            batches(items, 3, 10, |item| *item)
                .into_iter()
                .map(<[u64]>::to_vec)
                .collect()
        };
        assert_eq!(cut(&[]), Vec::<Vec<u64>>::new());
        assert_eq!(cut(&[1, 1, 1, 1]), [vec![1, 1, 1], vec![1]]);
        assert_eq!(
            cut(&[4, 6, 1, 50, 2]),
            [vec![4, 6], vec![1], vec![50], vec![2]]
        );
        assert_eq!(cut(&[u64::MAX, u64::MAX]), [vec![u64::MAX], vec![u64::MAX]]);
    }
}
