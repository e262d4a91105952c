//! What is allowed of a file, and what is wrong with one.

use std::time::{Duration, SystemTime};

use super::{
    super::quantity::{size_words, time_words},
    find::{Form, Found},
};

/// By how much a file may come from the future, for clocks that differ a little.
const AHEAD: Duration = Duration::from_secs(3600);

/// What is allowed.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) form: Option<Form>,
    pub(super) age: (Option<Duration>, Option<Duration>),
    pub(super) size: (Option<u64>, Option<u64>),
    pub(super) count: (Option<u64>, Option<u64>),
    /// Age and size over which a file that is as it must be is worth a look.
    pub(super) warn: (Option<Duration>, Option<u64>),
}

impl Rule {
    /// What is wrong with a file, each the end of a sentence that begins with its name.
    pub(super) fn wrong(&self, found: &Found, now: SystemTime) -> Vec<String> {
        let mut wrong = Vec::new();
        let age = age(found, now);
        let old = time_words(age);
        if let Some(most) = self.age.1 {
            if let Ok(ahead) = found.modified.duration_since(now)
                && ahead > AHEAD
            {
                wrong.push(format!("is dated {} ahead: which clock is wrong?", time_words(ahead)));
            } else if age > most {
                wrong.push(format!("is {old} old, longer than {}", time_words(most)));
            }
        }
        if let Some(least) = self.age.0.filter(|least| age < *least) {
            wrong.push(format!("is {old} old, less than {}", time_words(least)));
        }
        let sized = self.size != (None, None) || self.warn.1.is_some();
        if sized && found.form == Form::Folder {
            wrong.push(
                "is a folder, which has no size: end the path in `/*` for what is in it".into(),
            );
        } else if let Some(least) = self.size.0.filter(|least| found.size < *least) {
            wrong.push(format!("has {}, less than {}", size_words(found.size), size_words(least)));
        } else if let Some(most) = self.size.1.filter(|most| found.size > *most) {
            wrong.push(format!("has {}, more than {}", size_words(found.size), size_words(most)));
        }
        wrong
    }

    /// Why a file that is as it must be is worth a look, the end of a sentence about it.
    pub(super) fn warns(&self, found: &Found, now: SystemTime) -> Option<String> {
        let (old, large) = self.warn;
        let old = old.filter(|warn| age(found, now) > *warn).map(time_words);
        let large = large.filter(|warn| found.size > *warn).map(size_words);
        old.or(large).map(|warn| format!("over the warning at {warn}"))
    }

    /// The value that people want to see of a file: its age where that is judged, else its size.
    pub(super) fn level(&self, found: &Found, now: SystemTime) -> String {
        let aged = self.age != (None, None) || self.warn.0.is_some();
        let sized = self.size != (None, None) || self.warn.1.is_some();
        if sized && !aged { size_words(found.size) } else { time_words(age(found, now)) }
    }

    /// Whether age or size matter.
    pub(super) fn judges_one(&self) -> bool {
        self.age != (None, None) || self.size != (None, None) || self.warn != (None, None)
    }
}

/// Time since a file was changed; none for one from the future.
pub(super) fn age(found: &Found, now: SystemTime) -> Duration {
    now.duration_since(found.modified).unwrap_or_default()
}
