//! Whether a topic carries a message that is young enough: what each message proves, and what remains once it was
//! listened for long enough. It opens nothing and asks no clock.
//!
//! A message that comes while one listens is new. One that the broker had kept may be of any age, and its arrival says
//! nothing: its age is proven by a time in its payload, by what is left of an expiry that is known, or by a look that
//! still saw another one. Listening for as long as a message may be old, in vain, proves the contrary.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::Tz;

use super::{memory::Memory, stamp::Stamp};
use crate::checks::{
    Options,
    content::{Content, Met, Text},
    quantity::{duration, time_words},
};

/// How far a time in a payload may be ahead of this machine's clock and still count as now.
const AHEAD: TimeDelta = TimeDelta::seconds(60);

/// How long a retained message is waited for where it is known already that the topic is well.
const SETTLE: Duration = Duration::from_secs(1);

/// What is demanded of a topic.
#[derive(Debug)]
pub(super) struct Demand {
    /// Oldest that its newest message may be.
    pub(super) age: Duration,
    /// Age over which it is worth a look.
    warn: Option<Duration>,
    stamp: Option<Stamp>,
    /// Expiry that the publisher gives its messages.
    expiry: Option<Duration>,
    content: Content,
}

/// A message as it came.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// What it carries; `None` where that is too large to be read.
    pub(super) payload: Option<Bytes>,
    /// Its bytes.
    pub(super) bytes: usize,
    /// Whether the broker had kept it, so that it is of any age.
    pub(super) retained: bool,
    /// Seconds until the broker forgets it.
    pub(super) expiry: Option<u32>,
}

/// How a topic is.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    /// It carries a message that is young enough and as expected.
    Good(Good),
    /// There is one whose age is not known yet: a clause.
    Doubtful(String),
    /// It does not: a clause, and the age where it is known.
    Bad(String, Option<Duration>),
}

/// A message that is young enough and as expected.
#[derive(Debug, PartialEq)]
pub(super) struct Good {
    /// How old it is, and how that is known: a clause.
    pub(super) words: String,
    /// Its age; the highest that it can be.
    pub(super) age: Duration,
    /// Whether that is worth a look.
    pub(super) warning: bool,
    /// What it had that was expected.
    pub(super) met: Met,
}

/// Why what was heard so far does not suffice.
#[derive(Debug)]
enum Shortfall {
    /// It is too old by what it says itself: the age, and where it says it.
    Old(Duration, String),
    /// It is not as expected, or does not say how old it is: a clause.
    Other(String),
    /// Nothing says how old it is. When it was first seen.
    Unknown(DateTime<Utc>),
}

/// How old a message is, and how that is known.
enum Age {
    /// It came just now.
    Came,
    /// It says so itself, in a place.
    Told(Duration, String),
    /// Not known.
    Unknown,
}

/// A topic that is listened to.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    demand: &'a Demand,
    zone: Tz,
    pub(super) memory: Memory,
    /// Since when it is listened to.
    since: DateTime<Utc>,
    shortfall: Option<Shortfall>,
}

impl Demand {
    /// Reads `age`, `warnAge`, `timestampPath`, `expiry` and what the payload must have.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        if !options.given("age") {
            options.fault("age", "it is missing", "it has no default: give it");
        }
        let age = duration(options, "age");
        if age.is_some_and(|age| age.is_zero()) {
            options.fault("age", "no message is that young", "more than 0 seconds");
        }
        let warn = duration(options, "warnAge");
        if warn.zip(age).is_some_and(|(warn, age)| warn >= age) {
            options.warning("warnAge", "it fails before it warns", "less than `age`");
        }
        let (stamp, expiry) = (Stamp::read(options), duration(options, "expiry"));
        if stamp.is_some() && expiry.is_some() {
            options.warning("expiry", "it does nothing beside `timestampPath`", "one of the two");
        }
        let content = Content::read(options);
        Some(Self { age: age?, warn, stamp, expiry, content })
    }

    fn judge(&self, message: &Message) -> Result<Met, String> {
        let name = "its payload";
        match &message.payload {
            Some(bytes) => self.content.judge(Text { name, bytes, cut: false }),
            None if !self.content.given() => Ok(Met::default()),
            None => Err(format!("{name} is too large to be read ({} bytes)", message.bytes)),
        }
    }

    /// How old a message is, by itself.
    fn age(&self, message: &Message, zone: Tz, now: DateTime<Utc>) -> Result<Age, String> {
        if let Some(stamp) = &self.stamp {
            let place = stamp.place();
            let Some(payload) = &message.payload else {
                let bytes = message.bytes;
                return Err(format!(
                    "its payload is too large to be read for {place} ({bytes} bytes)"
                ));
            };
            let made = stamp.of(payload, zone)?;
            if made - now > AHEAD {
                return Err(format!(
                    "{place} in its payload is {} ahead of this machine's clock: one of the two is wrong",
                    time_words(past(now, made))
                ));
            }
            return Ok(Age::Told(past(made, now), format!("by its {place}")));
        }
        if !message.retained {
            return Ok(Age::Came);
        }
        let left = message.expiry.map(|left| Duration::from_secs(left.into()));
        let gone = self.expiry.zip(left).and_then(|(whole, left)| whole.checked_sub(left));
        Ok(gone.map_or(Age::Unknown, |age| Age::Told(age, "by what is gone of its expiry".into())))
    }
}

impl<'a> Watch<'a> {
    /// Begins to listen, knowing what was seen before.
    pub(super) fn new(demand: &'a Demand, memory: Memory, zone: Tz, now: DateTime<Utc>) -> Self {
        Self { demand, zone, memory, since: now, shortfall: None }
    }

    /// The broker has agreed: from now on nothing that comes is missed.
    pub(super) fn granted(&mut self, now: DateTime<Utc>) {
        self.since = now;
    }

    /// For how long it is worth listening, from then on.
    pub(super) fn patience(&self) -> Duration {
        let known = self.known(self.since).is_some();
        if known { SETTLE.min(self.demand.age) } else { self.demand.age }
    }

    /// Hears a message. Answers once it settles the matter.
    pub(super) fn hear(&mut self, message: &Message, now: DateTime<Utc>) -> Option<Judged> {
        let demand = self.demand;
        let age = match demand.age(message, self.zone, now) {
            Ok(age) => age,
            Err(wrong) => return self.short(Shortfall::Other(wrong)),
        };
        let kind = if message.retained { "its retained message" } else { "its message" };
        let (age, words) = match age {
            Age::Came => (Duration::ZERO, "a message came".to_owned()),
            Age::Told(age, by) if age > demand.age => return self.short(Shortfall::Old(age, by)),
            Age::Told(age, by) => (age, format!("{kind} is {} old {by}", time_words(age))),
            Age::Unknown => return self.hear_retained(message, now),
        };
        match demand.judge(message) {
            Ok(met) => {
                let made = TimeDelta::from_std(age).map_or(now, |age| now - age);
                self.memory.newest = self.memory.newest.max(Some(made));
                Some(self.good(words, age, met, true))
            }
            Err(wrong) => {
                self.memory.newest = None;
                Some(Judged::Bad(format!("{words}, {wrong}"), Some(age)))
            }
        }
    }

    /// Judges what there is, once there is no more time or no more to wait for.
    pub(super) fn end(&self, now: DateTime<Utc>) -> Judged {
        if let Some(known) = self.known(now) {
            return known;
        }
        let (listened, limit) = (past(self.since, now), self.demand.age);
        let (heard_for, limit_words) = (time_words(listened), time_words(limit));
        match &self.shortfall {
            Some(Shortfall::Other(wrong)) => Judged::Bad(wrong.clone(), None),
            Some(Shortfall::Old(age, by)) => {
                let words = time_words(*age);
                let text = format!(
                    "its newest message is {words} old {by}, over the limit of {limit_words}"
                );
                Judged::Bad(text, Some(*age))
            }
            Some(Shortfall::Unknown(_)) if listened >= limit => Judged::Bad(
                format!(
                    "its retained message is older than the limit of {limit_words}: nothing came while it was \
                     listened to for so long"
                ),
                None,
            ),
            Some(Shortfall::Unknown(first)) if past(*first, now) <= limit => {
                Judged::Doubtful(format!(
                    "how old its retained message is cannot be known yet: it fails unless another one comes within {}",
                    time_words(limit - past(*first, now))
                ))
            }
            Some(Shortfall::Unknown(first)) => Judged::Bad(
                format!(
                    "its retained message is the same for {}, over the limit of {limit_words}, and nothing came in \
                     the {heard_for} that it was listened to",
                    time_words(past(*first, now))
                ),
                Some(past(*first, now)),
            ),
            None => {
                let last = self.memory.newest.map_or(String::new(), |newest| {
                    format!(", the last message came {} ago", time_words(past(newest, now)))
                });
                Judged::Bad(
                    format!(
                        "nothing is retained, and nothing came in the {heard_for} that it was listened to{last} (is \
                         the topic right, may this user hear it, does its publisher send less often?)"
                    ),
                    self.memory.newest.map(|newest| past(newest, now)),
                )
            }
        }
    }

    /// A retained message that does not say how old it is.
    fn hear_retained(&mut self, message: &Message, now: DateTime<Utc>) -> Option<Judged> {
        let known = self.known(now);
        let (retained, changed) = self.memory.retain(message, now);
        let (after, first) = (retained.after, retained.first);
        let met = match self.demand.judge(message) {
            Ok(met) => met,
            // One that came since is newer than it.
            Err(_) if known.is_some() && !changed => return known,
            Err(wrong) => {
                self.memory.newest = self.memory.newest.filter(|_| !changed);
                return self.short(Shortfall::Other(wrong));
            }
        };
        let most = after.map(|after| past(after, now)).filter(|age| *age <= self.demand.age);
        match most {
            Some(age) => {
                let words = format!(
                    "its retained message is at most {} old (another one was there then)",
                    time_words(age)
                );
                Some(self.good(words, age, met, false))
            }
            None if known.is_some() => known,
            None => self.short(Shortfall::Unknown(first)),
        }
    }

    /// What is known from before, if that suffices.
    fn known(&self, now: DateTime<Utc>) -> Option<Judged> {
        let age = self.memory.newest.map(|newest| past(newest, now))?;
        let words = format!("its last message came {} ago", time_words(age));
        (age <= self.demand.age).then(|| self.good(words, age, Met::default(), true))
    }

    fn good(&self, mut words: String, age: Duration, met: Met, exactly: bool) -> Judged {
        let warn = self.demand.warn.filter(|warn| exactly && age > *warn);
        if let Some(warn) = warn {
            words.push_str(&format!(", over the warning at {}", time_words(warn)));
        }
        words.push_str(&format!(", limit {}", time_words(self.demand.age)));
        Judged::Good(Good { words, age, warning: warn.is_some(), met })
    }

    /// What was heard does not suffice; a later message may.
    fn short(&mut self, shortfall: Shortfall) -> Option<Judged> {
        let youngest = match (&self.shortfall, &shortfall) {
            (Some(Shortfall::Old(before, _)), Shortfall::Old(age, _)) => age < before,
            _ => true,
        };
        if youngest {
            self.shortfall = Some(shortfall);
        }
        None
    }
}

/// From one time to another; none where it is the other way round.
fn past(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests;
