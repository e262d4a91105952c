//! Names that one part of a configuration has for another.

use std::{
    borrow::Borrow,
    cell::{Cell, OnceCell},
    collections::HashSet,
    hash::Hash,
};

use crate::config::{Fault, Path, near};

/// Most names that missing ones are compared with. Whoever misses thousands made no slips of the hand, and comparing each
/// with all takes minutes.
const COMPARED: usize = 200_000;

/// Most steps of a circle that are told.
const TOLD: usize = 8;

/// The names that a list may have in it.
#[derive(Debug)]
pub(super) struct Names<N> {
    known: HashSet<N>,
    left_out: HashSet<String>,
    /// The known ones, sorted once one is missing.
    sorted: OnceCell<Vec<N>>,
    /// How many more may be compared.
    compares: Cell<usize>,
}

impl<N: Borrow<str> + Clone + Eq + Hash + Ord> Names<N> {
    pub(super) fn new(
        known: impl IntoIterator<Item = N>,
        left_out: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            known: known.into_iter().collect(),
            left_out: left_out.into_iter().collect(),
            sorted: OnceCell::new(),
            compares: Cell::new(COMPARED),
        }
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
        let right = self.instead(name, what);
        Err(Fault::error(path.clone(), format!("there is no {what} `{name}`, so {instead}"), right))
    }

    /// What to write instead of a name that is none of these.
    fn instead(&self, name: &str, what: &str) -> String {
        let Some(left) = self.compares.get().checked_sub(self.known.len()) else {
            return format!("one of the {} {what}s", self.known.len());
        };
        self.compares.set(left);
        let sorted = self.sorted.get_or_init(|| {
            let mut names: Vec<N> = self.known.iter().cloned().collect();
            names.sort_unstable();
            names
        });
        let names: Vec<&str> = sorted.iter().map(Borrow::borrow).collect();
        near::instead(name, &names, &format!("{what}s"))
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

/// A circle that was cut.
#[derive(Debug)]
pub(super) struct Cut {
    /// What was cut of it: all of these edges.
    pub(super) why: Why,
    /// Its edges from the first that was cut on, as many as are told.
    pub(super) told: Vec<Edge>,
    /// How many more it has.
    pub(super) more: usize,
}

/// Cuts the circles among checks numbered below `count`. A dependency is cut rather than a membership, so that every check
/// still runs; all that are in the circle, for none of them is more to blame than another.
pub(super) fn cut_circles(count: usize, edges: &mut Vec<Edge>) -> Vec<Cut> {
    let mut out = vec![Vec::new(); count];
    for (number, edge) in edges.iter().enumerate() {
        out[edge.from].push(number);
    }
    let mut cuts = Vec::new();
    let mut gone = vec![false; edges.len()];
    let mut done = vec![false; count];
    // Where a check lies on the way that is being walked.
    let mut on_way: Vec<Option<usize>> = vec![None; count];
    for start in 0..count {
        if done[start] {
            continue;
        }
        // Walked without recursion: a chain of dependencies may be as long as a file.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        on_way[start] = Some(0);
        while let Some((at, next)) = way.last_mut() {
            let edge = out[*at].get(*next).copied();
            *next += 1;
            let Some(edge) = edge else {
                done[*at] = true;
                on_way[*at] = None;
                way.pop();
                continue;
            };
            let to = edges[edge].to;
            if gone[edge] || done[to] {
                continue;
            }
            let Some(first) = on_way[to] else {
                on_way[to] = Some(way.len());
                way.push((to, 0));
                continue;
            };
            // The edge that a step of the way took is the one before its next.
            let circle: Vec<usize> =
                way[first..].iter().map(|&(at, next)| out[at][next - 1]).collect();
            let (cut, at) = Cut::of(&circle, edges);
            circle.iter().filter(|edge| edges[**edge].why == cut.why).for_each(|e| gone[*e] = true);
            cuts.push(cut);
            // Back to where the way is whole.
            way.drain(first + at + 1..).for_each(|(left, _)| on_way[left] = None);
        }
    }
    let mut gone = gone.into_iter();
    edges.retain(|_| !gone.next().unwrap_or_default());
    cuts
}

impl Cut {
    /// How a circle is cut, and the place in it of the first edge that is.
    fn of(circle: &[usize], edges: &[Edge]) -> (Self, usize) {
        let depends = circle.iter().position(|edge| edges[*edge].why == Why::Depends);
        let why = if depends.is_some() { Why::Depends } else { Why::Member };
        let at = depends.unwrap_or_default();
        let told = circle[at..].iter().chain(&circle[..at]).take(TOLD);
        let told: Vec<Edge> = told.map(|edge| edges[*edge]).collect();
        let more = circle.len() - told.len();
        (Self { why, told, more }, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(pairs: &[(usize, usize)], why: Why) -> Vec<Edge> {
        pairs.iter().map(|&(from, to)| Edge { from, to, why, place: 0 }).collect()
    }

    /// Where the circles begin that are cut, and the edges that are left.
    fn cut(mut edges: Vec<Edge>) -> (Vec<Vec<usize>>, Vec<(usize, usize)>) {
        let cuts = cut_circles(6, &mut edges);
        let froms = |cut: Cut| cut.told.iter().map(|edge| edge.from).collect();
        let left = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        (cuts.into_iter().map(froms).collect(), left)
    }

    #[test]
    fn every_circle_is_cut_and_no_other_shape_is_one() {
        let none = [(0, 1), (0, 2), (1, 3), (2, 3)];
        assert_eq!(cut(edges(&none, Why::Depends)), (vec![], none.to_vec()));
        assert_eq!(cut(edges(&[(0, 0)], Why::Member)), (vec![vec![0]], vec![]));
        let (found, left) = cut(edges(&[(0, 1), (1, 2), (2, 0), (3, 0)], Why::Depends));
        assert_eq!((found, left), (vec![vec![0, 1, 2]], vec![(3, 0)]));
        let (found, left) = cut(edges(&[(0, 1), (1, 0), (2, 3), (3, 2)], Why::Depends));
        assert_eq!((found, left), (vec![vec![0, 1], vec![2, 3]], vec![]));
        // Behind a circle that is cut early lies another.
        let (found, left) = cut(edges(&[(0, 1), (1, 0), (1, 2), (2, 1)], Why::Depends));
        assert_eq!((found, left), (vec![vec![0, 1], vec![1, 2]], vec![]));
    }

    #[test]
    fn a_dependency_is_cut_rather_than_a_membership() {
        let mut mixed = edges(&[(0, 1), (1, 2)], Why::Member);
        mixed.append(&mut edges(&[(2, 0)], Why::Depends));
        assert_eq!(cut(mixed), (vec![vec![2, 0, 1]], vec![(0, 1), (1, 2)]));
    }

    #[test]
    fn a_chain_as_long_as_a_file_needs_no_stack() {
        let chain: Vec<_> = (0..200_000).map(|from| (from, from + 1)).collect();
        assert!(cut_circles(200_001, &mut edges(&chain, Why::Depends)).is_empty());
    }

    /// Each of these would otherwise be compared, walked or told once for each of the others.
    #[test]
    fn thousands_that_depend_on_each_other_are_cut_in_one_walk_and_told_in_few_words() {
        let count = 20_000;
        let ring = (0..count).map(|from| (from, (from + 1) % count));
        let pairs: Vec<_> = ring.chain((1..count).map(|from| (from, from - 1))).collect();
        let mut tangle = edges(&pairs, Why::Depends);
        let cuts = cut_circles(count, &mut tangle);
        assert!(cuts.iter().all(|cut| cut.told.len() <= TOLD));
        assert!(cut_circles(count, &mut tangle).is_empty(), "nothing is left to cut");
        let mut ring: Vec<Edge> = edges(&pairs[..count], Why::Depends);
        let cuts = cut_circles(count, &mut ring);
        assert_eq!((cuts.len(), cuts[0].more, ring.len()), (1, count - TOLD, 0));
    }

    #[test]
    fn thousands_of_missing_names_are_not_all_compared_with_all() {
        let known: Vec<String> = (0..4000).map(|n| format!("check {n}")).collect();
        let names = Names::new(known, []);
        let right = |name: &str| {
            names.find(name, &Path::root(), "check", "so what").expect_err("missing").right
        };
        assert_eq!(right("chekc 7"), "did you mean `check 7`?");
        for _ in 0..COMPARED / 4000 {
            right("missing");
        }
        assert_eq!(right("chekc 7"), "one of the 4000 checks");
    }
}
