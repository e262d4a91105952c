//! What is said of the processes that run.

use fletchck_shared::Outcome;

use super::{
    super::{Before, quantity::time_words},
    Measure, ProcessCheck,
    tally::{Seen, Tally},
};

impl ProcessCheck {
    /// Judges what runs. `percent` is the processor time it took, where that was asked for.
    pub(super) fn judge(&self, tally: &Tally, percent: Option<f64>, before: &Before) -> Outcome {
        let outcome = self.verdict(tally, percent, before);
        let plural = if tally.count == 1 { "" } else { "es" };
        let mut first = format!("{} process{plural}, {:.1} MiB", tally.count, tally.mib);
        if let Some(percent) = percent {
            first += &format!(", {percent:.1}% of one core");
        }
        if let Some((_, limit)) = &self.measure {
            first += &format!(", {}", limit.target());
        }
        let each = |seen: &Seen| {
            let Seen { pid, name, mib, age } = seen;
            format!("{name} {pid}: {mib:.1} MiB, runs for {}", time_words(*age))
        };
        let more = tally.count.saturating_sub(tally.listed.len() as u64);
        let more = (more > 0).then(|| format!("and {more} more"));
        let hidden = (tally.hidden > 0).then(|| "not all processes could be looked at".to_owned());
        let listed = tally.listed.iter().map(each);
        let count = format!("{} process{plural}", tally.count);
        let level = outcome.level.clone().unwrap_or(count);
        outcome.level(level).log([first].into_iter().chain(listed).chain(more).chain(hidden))
    }

    fn verdict(&self, tally: &Tally, percent: Option<f64>, before: &Before) -> Outcome {
        let (least, most) = self.count;
        let words = self.pick.words();
        let (all, runs) = match tally.count {
            0 => (format!("no process{words}"), "runs"),
            1 => (format!("1 process{words}"), "runs"),
            count => (format!("{count} processes{words}"), "run"),
        };
        let some = tally.some();
        if tally.count < least {
            let expected = match (&tally.why, least) {
                (Some(why), _) => format!(": {why}"),
                (None, 1) if most == Some(1) => ", expected one".to_owned(),
                (None, least) => format!(", expected at least {least}"),
            };
            let hidden = match tally.hidden {
                0 => "",
                _ => "; this user may not see all processes (a `hidepid` of /proc, or a container)",
            };
            return Outcome::fail(format!("{all} {runs}{some}{expected}{hidden}"));
        }
        if let Some(most) = most.filter(|most| tally.count > *most) {
            let most = if most == 0 { "none".into() } else { format!("at most {most}") };
            return Outcome::fail(format!("{all} {runs}{some}, expected {most}"));
        }
        let Some(oldest) = &tally.oldest else {
            return Outcome::pass(format!("{all} runs, as is allowed"));
        };
        let Seen { pid, name, age, .. } = oldest;
        let age_words = time_words(*age);
        let oldest = match tally.count {
            1 => format!("{name} {pid}"),
            _ => format!("{name} {pid}, the oldest of {all},"),
        };
        if let Some(least) = self.age.0.filter(|least| age < least) {
            let least = time_words(least);
            return Outcome::fail(format!(
                "{oldest} has run for {age_words}, expected at least {least}: it was started anew"
            ));
        }
        if let Some(most) = self.age.1.filter(|most| age > most) {
            let most = time_words(most);
            return Outcome::fail(format!(
                "{oldest} has run for {age_words}, expected at most {most}: does it hang?"
            ));
        }
        match (&self.measure, percent) {
            (Some((Measure::Memory, limit)), _) => {
                limit.judge(&format!("the memory of {all}{some}"), tally.mib, "", before)
            }
            (Some((Measure::Cpu, limit)), Some(percent)) => {
                let what = format!("the processor time of {all}{some}");
                limit.judge(&what, percent, "of one core", before)
            }
            _ if tally.count == 1 => Outcome::pass(format!("{all} runs{some}, for {age_words}")),
            _ => Outcome::pass(format!("{all} {runs}{some}, the oldest for {age_words}")),
        }
    }
}
