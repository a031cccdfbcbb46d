//! Closures: everything reachable, inputs before their users.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt::{Debug, Display};
use std::hash::Hash;

/// Why a closure could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError<K: Debug + Display, E> {
    /// Items need each other; each needs the next, the last needs the first.
    #[error("the items need each other in a circle: {}", circle(.0))]
    Cycle(Vec<K>),
    /// The inputs of an item could not be had.
    #[error("the inputs of `{item}` are not known")]
    Inputs {
        /// The item.
        item: K,
        /// Why.
        source: E,
    },
}

fn circle<K: Display>(items: &[K]) -> String {
    let mut text = String::new();
    for item in items.iter().chain(items.first()) {
        if !text.is_empty() {
            text.push_str(" -> ");
        }
        text.push_str(&item.to_string());
    }
    text
}

enum Mark {
    /// Its inputs are being visited.
    Open,
    /// It is in the result.
    Done,
}

/// The roots and all that they need, inputs before users, each once. `inputs` is asked once for each item.
///
/// The order is that of a depth-first visit: it depends on the order of roots and inputs alone. The depth of the graph
/// takes heap, not stack.
///
/// # Errors
/// If items need each other, or `inputs` fails.
pub fn topological<K, E, I>(
    roots: impl IntoIterator<Item = K>,
    mut inputs: impl FnMut(&K) -> Result<I, E>,
) -> Result<Vec<K>, GraphError<K, E>>
where
    K: Clone + Eq + Hash + Debug + Display,
    I: IntoIterator<Item = K>,
{
    let mut order = Vec::new();
    let mut marks: HashMap<K, Mark> = HashMap::new();
    let mut path: Vec<(K, I::IntoIter)> = Vec::new();
    for root in roots {
        let mut next = Some(root);
        loop {
            if let Some(item) = next.take() {
                match marks.get(&item) {
                    Some(Mark::Done) => {}
                    Some(Mark::Open) => {
                        let circle = path
                            .into_iter()
                            .map(|(item, _)| item)
                            .skip_while(|open| *open != item);
                        return Err(GraphError::Cycle(circle.collect()));
                    }
                    None => {
                        let needed = match inputs(&item) {
                            Ok(needed) => needed.into_iter(),
                            Err(source) => return Err(GraphError::Inputs { item, source }),
                        };
                        marks.insert(item.clone(), Mark::Open);
                        path.push((item, needed));
                    }
                }
            }
            let Some((_, needed)) = path.last_mut() else {
                break;
            };
            next = needed.next();
            if next.is_none()
                && let Some((item, _)) = path.pop()
            {
                marks.insert(item.clone(), Mark::Done);
                order.push(item);
            }
        }
    }
    Ok(order)
}

/// Those of the roots, and of all that they refer to, of which `references` knows something: references first, each once.
/// What refers to itself is no circle. `references` is asked once for each item.
///
/// # Errors
/// If items refer to each other.
pub fn references_first<K, I>(
    roots: impl IntoIterator<Item = K>,
    references: impl Fn(&K) -> Option<I>,
) -> Result<Vec<K>, GraphError<K, Infallible>>
where
    K: Clone + Eq + Hash + Debug + Display,
    I: IntoIterator<Item = K>,
{
    let mut unknown = HashSet::new();
    let others = |item: &K| {
        let Some(references) = references(item) else {
            unknown.insert(item.clone());
            return Ok(Vec::new());
        };
        let others = references.into_iter().filter(|other| other != item);
        Ok(others.collect())
    };
    let mut order = topological(roots, others)?;
    order.retain(|item| !unknown.contains(item));
    Ok(order)
}

/// The same, without what is lacking or refers to something lacking, directly or not.
///
/// # Errors
/// If items refer to each other.
pub fn whole<K, I>(
    roots: impl IntoIterator<Item = K>,
    references: impl Fn(&K) -> Option<I>,
    lacks: impl Fn(&K) -> bool,
) -> Result<Vec<K>, GraphError<K, Infallible>>
where
    K: Clone + Eq + Hash + Debug + Display,
    I: IntoIterator<Item = K>,
{
    let mut order = references_first(roots, &references)?;
    let mut torn = HashSet::new();
    order.retain(|item| {
        let mut needed = references(item).into_iter().flatten();
        let is_whole = !lacks(item) && !needed.any(|other| lacks(&other) || torn.contains(&other));
        if !is_whole {
            torn.insert(item.clone());
        }
        is_whole
    });
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(
        edges: &[(u32, &[u32])],
        roots: &[u32],
    ) -> Result<Vec<u32>, GraphError<u32, Infallible>> {
        let inputs = |item: &u32| -> Result<Vec<u32>, Infallible> {
            Ok(edges
                .iter()
                .find(|(from, _)| from == item)
                .map_or(vec![], |(_, to)| to.to_vec()))
        };
        topological(roots.iter().copied(), inputs)
    }

    #[test]
    fn inputs_come_first_and_once() {
        assert_eq!(
            order(&[(1, &[2, 3]), (2, &[4]), (3, &[4])], &[1, 3]).unwrap(),
            [4, 2, 3, 1]
        );
    }

    #[test]
    fn a_cycle_is_named_without_what_leads_to_it() {
        let error = order(&[(1, &[2]), (2, &[3]), (3, &[4, 2])], &[1]).unwrap_err();
        assert_eq!(error, GraphError::Cycle(vec![2, 3]));
        assert_eq!(
            error.to_string(),
            "the items need each other in a circle: 2 -> 3 -> 2"
        );
        assert_eq!(order(&[(1, &[1])], &[1]), Err(GraphError::Cycle(vec![1])));
    }

    #[test]
    fn depth_takes_no_stack() {
        let inputs = |item: &u32| -> Result<Option<u32>, Infallible> {
            Ok((*item < 500_000).then(|| item + 1))
        };
        assert_eq!(topological([0], inputs).unwrap().len(), 500_001);
    }

    fn references(item: &u32) -> Option<Vec<u32>> {
        match item {
            1 => Some(vec![1, 3, 2]),
            2 => Some(vec![4, 9]),
            3 | 4 => Some(vec![]),
            5 => Some(vec![6]),
            6 => Some(vec![5]),
            _ => None,
        }
    }

    #[test]
    fn references_come_first_without_what_is_unknown() {
        let order = |roots: &[u32]| references_first(roots.iter().copied(), references);
        assert_eq!(order(&[8, 1]).unwrap(), [3, 4, 2, 1]);
        assert_eq!(order(&[5]), Err(GraphError::Cycle(vec![5, 6])));
    }

    #[test]
    fn what_needs_something_lacking_is_not_whole() {
        let order = |lacking| whole([1, 3], references, |item| *item == lacking).unwrap();
        assert_eq!(order(8), [3, 4, 2, 1]);
        // Nobody knows what it refers to, and nobody has it.
        assert_eq!(order(9), [3, 4]);
        assert_eq!(order(4), [3]);
        assert_eq!(order(3), [4, 2]);
    }

    #[test]
    fn unknown_inputs_are_named() {
        let error = topological([7], |_: &u32| Err::<Vec<u32>, _>("gone")).unwrap_err();
        assert_eq!(
            error,
            GraphError::Inputs {
                item: 7,
                source: "gone"
            }
        );
    }
}
