//! What a search has found, and the sentence for it.

use std::time::SystemTime;

use fletchck_shared::Outcome;

use super::{
    super::quantity::{size_words, time_words},
    PathCheck, Which,
    find::{Form, Found},
    rule::{Rule, age},
};

/// Most files that are named in the log.
const NAMED: usize = 10;

/// What a search has found, in bounded space.
#[derive(Default)]
pub(super) struct Tally {
    count: u64,
    newest: Option<Found>,
    oldest: Option<Found>,
    /// Something that is not of the form which was asked for.
    odd: Option<Found>,
    bad: u64,
    /// What is wrong with the first of the bad.
    named: Vec<String>,
    /// Why the first that is worth a look is.
    warned: Option<String>,
}

impl Tally {
    pub(super) fn add(&mut self, found: Found, rule: &Rule, now: SystemTime) {
        if rule.form.is_some_and(|form| form != found.form) {
            self.odd.get_or_insert(found);
            return;
        }
        self.count += 1;
        let wrong = rule.wrong(&found, now);
        if !wrong.is_empty() {
            self.bad += 1;
            if self.named.len() < NAMED {
                self.named.push(format!("{} {}", shown(&found), wrong.join(" and ")));
            }
        }
        if self.warned.is_none() {
            let warns = rule.warns(&found, now);
            self.warned = warns.map(|why| format!("{} is {why}", shown(&found)));
        }
        if self.newest.as_ref().is_none_or(|newest| newest.modified < found.modified) {
            self.newest = Some(found.clone());
        }
        if self.oldest.as_ref().is_none_or(|oldest| oldest.modified > found.modified) {
            self.oldest = Some(found);
        }
    }
}

impl PathCheck {
    pub(super) fn judge(&self, tally: Tally, now: SystemTime) -> Outcome {
        let (text, count) = (&self.text, tally.count);
        let pattern = self.place.is_pattern();
        let kind = match self.rule.form {
            Some(Form::File) => "file",
            Some(Form::Folder) => "folder",
            _ if pattern => "file or folder",
            _ => "",
        };
        let judged = if self.which == Which::Oldest { &tally.oldest } else { &tally.newest };
        let Some(found) = judged else {
            return match (self.exists, tally.odd.is_some() && !pattern) {
                (true, true) => Outcome::fail(format!("{text} is there, but it is no {kind}")),
                (false, true) => {
                    Outcome::pass(format!("{text} is there, but it is no {kind}, as it must be"))
                }
                (true, false) if !pattern => Outcome::fail(format!("{text} does not exist")),
                (false, false) if !pattern => {
                    Outcome::pass(format!("{text} does not exist, as it must be"))
                }
                (false, false) => Outcome::pass(format!("no {kind} matches {text}, as it must be")),
                (true, false) if self.rule.count.0 == Some(0) => {
                    Outcome::pass(format!("no {kind} matches {text}"))
                }
                (true, false) => Outcome::fail(format!("no {kind} matches {text}")),
            };
        };
        let name = shown(found);
        let age = time_words(age(found, now));
        if !self.exists {
            return Outcome::fail(format!("{name} exists and must not, changed {age} ago"))
                .level(count.to_string());
        }
        let mut faults = Vec::new();
        if let Some(least) = self.rule.count.0.filter(|least| count < *least) {
            faults.push(format!("{count} match {text}, fewer than {least}"));
        }
        if let Some(most) = self.rule.count.1.filter(|most| count > *most) {
            faults.push(format!("{count} match {text}, more than {most}"));
        }
        let among = match (pattern && count > 1, self.which) {
            (false, _) => String::new(),
            (true, Which::Newest) => format!(", the newest of {count},"),
            (true, Which::Oldest) => format!(", the oldest of {count},"),
            (true, Which::Every) => String::new(),
        };
        let every = self.which == Which::Every && count > 1;
        if every && tally.bad > 0 {
            faults.push(format!(
                "{} of {count} are not as they must be: {}",
                tally.bad, tally.named[0]
            ));
        } else if !every {
            let wrong = self.rule.wrong(found, now);
            if !wrong.is_empty() {
                faults.push(format!("{name}{among} {}", wrong.join(" and ")));
            }
        }
        let level = if every || (self.rule.count != (None, None) && !self.rule.judges_one()) {
            count.to_string()
        } else {
            self.rule.level(found, now)
        };
        let warning = if every { tally.warned } else { self.rule.warns(found, now) };
        let outcome = if faults.is_empty() {
            let mut text = match every {
                true => format!("all {count} that match {text} are as they must be"),
                false => format!("{name}{among} is {age} old and has {}", size_words(found.size)),
            };
            if let Some(why) = &warning {
                text.push_str(&format!(", {why}"));
            }
            Outcome::pass(text).warning(warning.is_some()).alerting(self.alerts)
        } else {
            Outcome::fail(faults.join("; "))
        };
        let log = if every { tally.named } else { Vec::new() };
        outcome.level(level).log(log)
    }
}

/// The path of a file on one line: its name may hold anything.
fn shown(found: &Found) -> String {
    found.path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}
