//! Names that one part of a configuration has for another.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    hash::Hash,
};

use crate::config::{Fault, Path, near};

/// The names that a list may have in it.
#[derive(Debug)]
pub(super) struct Names<N> {
    known: HashSet<N>,
    left_out: HashSet<String>,
}

impl<N: Borrow<str> + Clone + Eq + Hash + Ord> Names<N> {
    pub(super) fn new(
        known: impl IntoIterator<Item = N>,
        left_out: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { known: known.into_iter().collect(), left_out: left_out.into_iter().collect() }
    }

    /// The thing of this name, or the fault that it is not there and what happens `instead`.
    pub(super) fn find(
        &self,
        name: &str,
        path: &Path,
        what: &str,
        instead: &str,
    ) -> Result<N, Fault> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        if self.left_out.contains(name) {
            let wrong = format!("{what} `{name}` does not run, so {instead}");
            return Err(Fault::warning(path.clone(), wrong, format!("mend the {what} `{name}`")));
        }
        let mut names: Vec<&str> = self.known.iter().map(Borrow::borrow).collect();
        names.sort_unstable();
        let right = near::instead(name, &names, &format!("{what}s"));
        Err(Fault::error(path.clone(), format!("there is no {what} `{name}`, so {instead}"), right))
    }
}

/// Why the state of one check hangs on that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It names it in `depends`.
    Depends,
    /// It is a sequence and names it in `checks`.
    Member,
}

/// That one check hangs on another: both as numbers, and the place of the name in its list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) why: Why,
    pub(super) place: usize,
}

/// The cycles among checks numbered below `count`. Those that are left when one edge of each found one is gone are not
/// found, so the caller cuts these and asks again.
pub(super) fn cycles(count: usize, edges: &[Edge]) -> Vec<Vec<Edge>> {
    let mut out: HashMap<usize, Vec<Edge>> = HashMap::new();
    for edge in edges {
        out.entry(edge.from).or_default().push(*edge);
    }
    let mut found = Vec::new();
    let mut done = vec![false; count];
    // Where a check lies on the way that is being walked.
    let mut on_way: HashMap<usize, usize> = HashMap::new();
    for start in 0..count {
        if done[start] {
            continue;
        }
        // Walked without recursion: a chain of dependencies may be as long as a file.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        on_way.insert(start, 0);
        while let Some((at, next)) = way.last_mut() {
            let edge = out.get(at).and_then(|edges| edges.get(*next)).copied();
            *next += 1;
            match edge {
                None => {
                    done[*at] = true;
                    on_way.remove(at);
                    way.pop();
                }
                Some(edge) if done[edge.to] => {}
                Some(edge) => match on_way.get(&edge.to) {
                    Some(&first) => {
                        // The edge that a step of the way took is the one before its next.
                        let taken = |&(at, next): &(usize, usize)| out[&at][next - 1];
                        found.push(way[first..].iter().map(taken).collect());
                    }
                    None => {
                        on_way.insert(edge.to, way.len());
                        way.push((edge.to, 0));
                    }
                },
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
        let edges: Vec<Edge> = edges
            .iter()
            .map(|&(from, to)| Edge { from, to, why: Why::Depends, place: 0 })
            .collect();
        let froms = |cycle: Vec<Edge>| cycle.iter().map(|edge| edge.from).collect();
        cycles(6, &edges).into_iter().map(froms).collect()
    }

    #[test]
    fn every_cycle_is_found_and_no_other_shape_is_one() {
        assert_eq!(found(&[(0, 1), (0, 2), (1, 3), (2, 3)]), Vec::<Vec<usize>>::new());
        assert_eq!(found(&[(0, 0)]), [[0]]);
        assert_eq!(found(&[(0, 1), (1, 2), (2, 0), (3, 0)]), [[0, 1, 2]]);
        assert_eq!(found(&[(0, 1), (1, 0), (2, 3), (3, 2)]), [[0, 1], [2, 3]]);
    }

    #[test]
    fn a_chain_as_long_as_a_file_needs_no_stack() {
        let edges: Vec<Edge> = (0..200_000)
            .map(|from| Edge { from, to: from + 1, why: Why::Depends, place: 0 })
            .collect();
        assert!(cycles(200_001, &edges).is_empty());
    }
}
