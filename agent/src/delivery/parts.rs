//! What becomes of a letter of many checks that is refused for good. It may be for what it says of one of them, so that
//! the others are to be told all the same; or the other side takes nothing at all, and must not be asked about each.
//!
//! A few of the checks, from all over the letter, are tried alone. Where none of them is taken, nothing is: all are given
//! up. Otherwise the others are tried together again, and what is refused of them in halves, down to single checks, of which
//! only those are given up that are refused. Why the other side refuses is not compared, for its words may differ each time.
//! Each try counts against the rate, so that there is no storm where many are refused alone. What comes meanwhile of other
//! checks is told first, for all that may take hours.

use std::collections::{HashSet, VecDeque};

use fletchck_shared::CheckName;
use indexmap::IndexMap;

use crate::{actions::TellError, store::PendingDelivery};

/// Checks that are tried alone at first.
const SAMPLE: usize = 5;

/// What is still to be tried of a refused letter.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The deliveries of each letter that it is tried in. The first is the one being told.
    waiting: VecDeque<HashSet<i64>>,
    /// Whether something of it was taken.
    taken: bool,
    /// Checks that were refused alone.
    alone: usize,
    /// Whether what is told now came since, and is no part of it.
    aside: bool,
    /// Why all that is left is given up.
    hopeless: Option<TellError>,
}

/// What is told next while there is something left of a refused letter.
#[derive(Debug)]
pub(super) enum Turn {
    /// This part of it.
    Part(Vec<PendingDelivery>),
    /// What came since, of other checks.
    Aside(Vec<PendingDelivery>),
}

/// The deliveries of one check.
type Check = Vec<i64>;

impl Parts {
    /// What is tried next, of all there is to tell; `None`: there is no refused letter, or none of it is to be told now.
    pub(super) fn turn(&mut self, pending: &[PendingDelivery]) -> Option<Turn> {
        while let Some(part) = self.waiting.front() {
            let found: Vec<_> =
                pending.iter().filter(|pending| part.contains(&pending.id)).cloned().collect();
            if !found.is_empty() {
                let aside = self.others(pending);
                self.aside = !aside.is_empty();
                return Some(if self.aside { Turn::Aside(aside) } else { Turn::Part(found) });
            }
            self.waiting.pop_front();
        }
        *self = Self::default();
        None
    }

    /// What tells of checks of which no part does, so that the order of each check stays.
    fn others(&self, pending: &[PendingDelivery]) -> Vec<PendingDelivery> {
        let parts = |id: &i64| self.waiting.iter().any(|part| part.contains(id));
        let checks: HashSet<_> = pending
            .iter()
            .filter(|pending| parts(&pending.id))
            .map(|pending| &pending.notice.check)
            .collect();
        let others = pending.iter().filter(|pending| !checks.contains(&pending.notice.check));
        others.cloned().collect()
    }

    /// Why what is left is given up without being tried, if it is. It is forgotten.
    pub(super) fn hopeless(&mut self) -> Option<TellError> {
        let failure = self.hopeless.take()?;
        *self = Self::default();
        Some(failure)
    }

    /// A letter was taken.
    pub(super) fn taken(&mut self) {
        if std::mem::take(&mut self.aside) {
            return;
        }
        self.waiting.pop_front();
        self.taken = true;
    }

    /// A letter of these was refused for good. Whether its checks are tried apart; otherwise they are given up.
    pub(super) fn refused(&mut self, pending: &[PendingDelivery], failure: &TellError) -> bool {
        let checks = by_check(pending);
        if std::mem::take(&mut self.aside) {
            // It is looked into after the rest.
            self.waiting.extend(together(&checks).filter(|_| checks.len() > 1));
            return checks.len() > 1;
        }
        let fresh = self.waiting.pop_front().is_none();
        if checks.len() == 1 {
            self.alone += 1;
            if self.alone == SAMPLE && !self.taken && !self.waiting.is_empty() {
                self.hopeless = Some(failure.clone());
            }
            return false;
        }
        if fresh {
            *self = Self::default();
            let (sample, others) = sample(checks);
            self.waiting.extend(sample.into_iter().map(HashSet::from_iter));
            self.waiting.extend(together(&others));
        } else {
            let (first, second) = checks.split_at(checks.len().div_ceil(2));
            let halves = together(first).into_iter().chain(together(second));
            halves.rev().for_each(|half| self.waiting.push_front(half));
        }
        true
    }
}

fn by_check(pending: &[PendingDelivery]) -> Vec<Check> {
    let mut checks: IndexMap<&CheckName, Check> = IndexMap::new();
    for PendingDelivery { id, notice, .. } in pending {
        checks.entry(&notice.check).or_default().push(*id);
    }
    checks.into_values().collect()
}

/// Some from all over, and the others.
fn sample(checks: Vec<Check>) -> (Vec<Check>, Vec<Check>) {
    let last = checks.len().saturating_sub(1);
    let places: HashSet<_> = (0..SAMPLE).map(|n| n * last / (SAMPLE - 1)).collect();
    let (sample, others): (Vec<_>, Vec<_>) =
        checks.into_iter().enumerate().partition(|(place, _)| places.contains(place));
    let without = |list: Vec<(usize, Check)>| list.into_iter().map(|(_, check)| check).collect();
    (without(sample), without(others))
}

/// All of these as one letter; `None`: there are none.
fn together(checks: &[Check]) -> Option<HashSet<i64>> {
    (!checks.is_empty()).then(|| checks.iter().flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::tests::notice;

    fn pending(checks: usize) -> Vec<PendingDelivery> {
        let of = |id: usize| PendingDelivery {
            id: i64::try_from(id).expect("few"),
            tries: 0,
            made: DateTime::UNIX_EPOCH,
            notice: notice(&format!("check-{}:F", id % checks)),
        };
        // Of some there is more than one.
        (0..checks + checks / 3).map(of).collect()
    }

    /// Tells these to someone who refuses whatever tells of some checks. What is taken, what is given up, and how many
    /// tries that took.
    fn tell(checks: usize, refuses: &dyn Fn(&str) -> bool) -> (Vec<i64>, Vec<i64>, usize) {
        let (mut left, mut parts) = (pending(checks), Parts::default());
        let (mut taken, mut given_up, mut tries) = (Vec::new(), Vec::new(), 0);
        while !left.is_empty() {
            let part = parts.turn(&left).map(|turn| match turn {
                Turn::Part(part) => part,
                Turn::Aside(aside) => panic!("nothing came: {aside:?}"),
            });
            if let Some(part) = &part
                && parts.hopeless().is_some()
            {
                given_up.extend(part.iter().map(|one| one.id));
                left.retain(|one| !given_up.contains(&one.id));
                continue;
            }
            let letter = part.unwrap_or_else(|| left.clone());
            tries += 1;
            let ids = letter.iter().map(|one| one.id);
            if letter.iter().any(|one| refuses(one.notice.check.as_str())) {
                if !parts.refused(&letter, &TellError::permanent("550")) {
                    given_up.extend(ids);
                }
            } else {
                taken.extend(ids);
                parts.taken();
            }
            left.retain(|one| !given_up.contains(&one.id) && !taken.contains(&one.id));
        }
        (taken, given_up, tries)
    }

    #[test]
    fn who_takes_nothing_is_asked_a_few_times_and_who_takes_most_not_about_each() {
        for (checks, most) in [(1, 1), (2, 3), (5, 6), (6, 6), (1000, 6)] {
            let (taken, given_up, tries) = tell(checks, &|_| true);
            assert_eq!((taken.len(), given_up.len()), (0, checks + checks / 3));
            assert!(tries <= most, "{tries} for {checks}");
        }
        let (_, given_up, tries) = tell(1000, &|check| check == "check-371");
        assert_eq!(given_up, [371]);
        assert!(tries <= 30, "{tries}");
    }

    proptest! {
        #[test]
        fn only_what_is_refused_alone_is_given_up_where_anything_of_the_first_is_taken(
            checks in 1_usize..60,
            bad in proptest::collection::hash_set(0_usize..60, 0..30),
        ) {
            let refuses = |check: &str| bad.iter().any(|n| check == format!("check-{n}"));
            let (mut taken, given_up, tries) = tell(checks, &refuses);
            let all = pending(checks);
            taken.extend(&given_up);
            taken.sort_unstable();
            prop_assert_eq!(taken, all.iter().map(|one| one.id).collect::<Vec<_>>());
            prop_assert!(tries <= 2 * checks + SAMPLE);
            let names: Vec<_> = (0..checks).map(|n| vec![i64::try_from(n).expect("few")]).collect();
            let (first, _) = sample(names);
            let hopeless = checks > SAMPLE
                && first.iter().all(|n| refuses(&format!("check-{}", n[0])));
            for one in &all {
                let refused = refuses(one.notice.check.as_str()) || hopeless;
                prop_assert_eq!(given_up.contains(&one.id), refused, "{}", one.notice.check);
            }
        }
    }
}
