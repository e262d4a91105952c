//! What became of each echo request, and what that means.

use std::time::Duration;

use fletchck_shared::Outcome;

use super::trouble::Trouble;
use crate::checks::{
    Before,
    limit::{Limit, Scale},
};

/// A round trip, in milliseconds.
pub(super) static ROUND_TRIP: Scale = Scale {
    option: "level",
    counts: "milliseconds",
    range: (0.001, 3_600_000.0),
    seen: |ms| format!("{} ms", digits(ms)),
    chosen: |ms| format!("{ms} ms"),
    level: |ms| format!("{}ms", digits(ms)),
};

/// What is demanded of the answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// Requests that are sent.
    pub(super) count: u16,
    /// Percent of them that may stay unanswered.
    pub(super) loss: f64,
    /// Limit of the average round trip.
    pub(super) limit: Limit,
}

/// What became of each request so far, by its number.
#[derive(Debug, Default)]
pub(super) struct Tally {
    fates: Vec<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Waiting,
    Answered(Duration),
    Failed(Trouble),
}

impl Demand {
    /// How many answers are enough; at least one.
    fn needed(self) -> usize {
        let may_fail = f64::from(self.count) * self.loss / 100.0;
        // What is whole but for the rounding of the product counts as whole.
        usize::from(self.count).saturating_sub((may_fail + 1e-9) as usize).max(1)
    }
}

impl Tally {
    /// How many were sent: the number of the next one.
    pub(super) fn sent(&self) -> u16 {
        u16::try_from(self.fates.len()).unwrap_or(u16::MAX)
    }

    /// One more was sent.
    pub(super) fn send(&mut self) {
        self.fates.push(Fate::Waiting);
    }

    /// One was answered. Answers `false` where that was known, or none with this number was sent.
    pub(super) fn answered(&mut self, seq: u16, took: Duration) -> bool {
        match self.fates.get_mut(usize::from(seq)) {
            Some(fate @ (Fate::Waiting | Fate::Failed(_))) => {
                *fate = Fate::Answered(took);
                true
            }
            _ => false,
        }
    }

    /// One will not be answered; without a number it is the last that waits.
    pub(super) fn failed(&mut self, seq: Option<u16>, trouble: Trouble) {
        let fate = match seq {
            Some(seq) => self.fates.get_mut(usize::from(seq)),
            None => self.fates.iter_mut().rev().find(|fate| **fate == Fate::Waiting),
        };
        if let Some(fate) = fate.filter(|fate| **fate == Fate::Waiting) {
            *fate = Fate::Failed(trouble);
        }
    }

    /// Whether nothing that still may come changes the verdict.
    pub(super) fn settled(&self, demand: Demand) -> bool {
        let failed = self.fates.iter().filter(|fate| matches!(fate, Fate::Failed(_))).count();
        self.times().count() >= demand.needed()
            || failed > usize::from(demand.count) - demand.needed()
    }

    /// Judges what became of them. What still waits is lost; `waited` is how long it was waited for.
    pub(super) fn judge(
        &self,
        host: &str,
        demand: Demand,
        waited: Duration,
        before: &Before,
    ) -> Outcome {
        let (sent, answered, count) = (self.fates.len(), self.times().count(), demand.count);
        let lost = 100.0 * (1.0 - answered as f64 / sent.max(1) as f64);
        let average =
            self.times().sum::<Duration>().as_secs_f64() * 1000.0 / answered.max(1) as f64;
        let waiting = self.fates.iter().filter(|fate| **fate == Fate::Waiting).count();
        let rest = match waiting {
            1.. if answered >= demand.needed() => format!("{waiting} not waited for"),
            _ => format!("{}% lost", whole(lost)),
        };
        let mut log = vec![format!("{sent} sent, {answered} answered, {rest}")];
        if let (Some(least), Some(most)) = (self.times().min(), self.times().max()) {
            let [least, most] = [least, most].map(|time| digits(time.as_secs_f64() * 1000.0));
            log[0].push_str(&format!(
                "; round trip {least} ms at least, {} ms on average, {most} ms at most",
                digits(average)
            ));
        }
        let mut troubles: Vec<String> = Vec::new();
        for fate in &self.fates {
            if let Fate::Failed(trouble) = fate {
                let words = trouble.to_string();
                if !troubles.contains(&words) {
                    troubles.push(words);
                }
            }
        }
        if answered < demand.needed() {
            let much = match (answered, sent) {
                (0, 1) => format!("{host} did not answer an echo request"),
                (0, _) => format!("{host} answered none of {sent} echo requests"),
                _ => format!(
                    "{host} answered {answered} of {sent} echo requests, {}% were lost, over the limit of {}%",
                    whole(lost),
                    demand.loss
                ),
            };
            let why = match troubles.first() {
                Some(trouble) => format!(": {trouble}"),
                None if answered == 0 => format!(
                    " within {} s: is it up, and does no firewall drop them?",
                    waited.as_secs_f64()
                ),
                None => String::new(),
            };
            let outcome = Outcome::fail(format!("{much}{why}"));
            log.append(&mut troubles);
            let outcome = outcome.log(log);
            return if answered == 0 {
                outcome
            } else {
                outcome.level((ROUND_TRIP.level)(average))
            };
        }
        let enough = if answered < usize::from(count) {
            format!(", enough where {}% may be lost", demand.loss)
        } else {
            String::new()
        };
        let what = match count {
            1 => format!("{host} answered, the round trip"),
            _ => format!(
                "{host} answered {answered} of {count} echo requests{enough}, the round trip"
            ),
        };
        log[0].push_str(&format!(". {}", demand.limit.target()));
        log.append(&mut troubles);
        demand.limit.judge(&what, average, "", before).log(log)
    }

    fn times(&self) -> impl Iterator<Item = Duration> {
        self.fates.iter().filter_map(|fate| match fate {
            Fate::Answered(took) => Some(*took),
            _ => None,
        })
    }
}

/// Milliseconds, with as many places as matter.
fn digits(ms: f64) -> String {
    match ms {
        ..1.0 => format!("{ms:.2}"),
        ..100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// With one place, and none where it is 0.
fn whole(percent: f64) -> String {
    let text = format!("{percent:.1}");
    text.strip_suffix(".0").unwrap_or(&text).into()
}

#[cfg(test)]
mod tests;
