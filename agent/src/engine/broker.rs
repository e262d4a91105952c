//! The check that this site makes of its own way to the broker: `broker`, of type `broker`. A broker that is lost raises
//! one alert, this one, and it goes out by a way that does not need the broker; all that is heard through it is stale.

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{
    CheckName, State,
    state::{Failure, Report, Seen},
    time,
    wire::BROKER,
};
use tracing::warn;

use super::{core::Core, entry::Entry};
use crate::store::RemoteRow;

/// A broker that is away.
#[derive(Clone, Debug)]
pub(super) struct Away {
    since: DateTime<Utc>,
    why: String,
}

impl Core {
    /// The broker is away. Whether that is told is seen once the grace is over.
    pub(super) fn miss_broker(&mut self, why: &str) {
        let now = self.now();
        let since = self.broker_away.as_ref().map_or(now, |away| away.since);
        self.broker_away = Some(Away { since, why: why.into() });
        if let Some(name) = self.broker_check() {
            let grace = TimeDelta::from_std(self.site.fleet.grace).unwrap_or_default();
            self.alarms.set(name, since + grace, now);
        }
    }

    /// The broker is back.
    pub(super) fn greet_broker(&mut self) {
        self.broker_away = None;
        if let Some(name) = self.broker_check() {
            self.alarms.remove(&name);
            self.report_broker(&name, None);
        }
    }

    /// The grace of a broker that is away may be over.
    pub(super) fn broker_missed(&mut self, name: &CheckName) {
        let Some(away) = self.broker_away.clone() else { return };
        let now = self.now();
        let grace = TimeDelta::from_std(self.site.fleet.grace).unwrap_or_default();
        // A clock that was set back does not make it longer than it is.
        if now < away.since + grace && now >= away.since {
            self.alarms.set(name.clone(), away.since + grace, now);
            return;
        }
        self.report_broker(name, Some(&away));
    }

    fn report_broker(&mut self, name: &CheckName, away: Option<&Away>) {
        let now = self.now();
        let text = match away {
            Some(Away { since, why }) => {
                format!("{why} (since {})", time::people(*since, self.identity.zone))
            }
            None => "the broker is reached".into(),
        };
        let report = Report {
            failure: away.map(|_| Failure::Whole),
            fail_count: Some(u32::from(away.is_some())),
            threshold: Some(1),
            log: vec![text.clone()],
            text,
            last_check: Some(now),
            last_fail: away.map(|_| now),
            last_pass: away.is_none().then_some(now),
            ..Report::default()
        };
        self.see(name, Seen::Reported(&report, now));
    }

    /// The name of the check, which is added where there is none: `broker`, or `broker of NAME` where another check is
    /// called that. A site that has nobody to tell of its broker, and hears nobody through it, has none.
    fn broker_check(&mut self) -> Option<CheckName> {
        if !self.identity.hub && self.site.fleet.actions.is_empty() {
            return None;
        }
        let names = [BROKER.to_owned(), format!("{BROKER} of {}", self.identity.agent)];
        let names = names.map(|name| CheckName::try_from(name.as_str()).expect("a name"));
        let ours = |name: &&CheckName| self.entries.get(*name).is_some_and(Entry::is_broker);
        if let Some(name) = names.iter().find(ours) {
            return Some(name.clone());
        }
        let Some(name) = names.iter().find(|name| !self.entries.contains_key(*name)) else {
            let [first, second] = &names;
            warn!(
                "checks of this site are called `{first}` and `{second}`, so nobody is told when the broker is away; call them otherwise"
            );
            return None;
        };
        // As what an agent says of itself: nothing that is heard speaks for it.
        let row = RemoteRow {
            added: true,
            fleet: true,
            kind: Some(BROKER.into()),
            ..RemoteRow::default()
        };
        self.enter_remote(name.clone(), row.clone(), State::default());
        self.batch.remotes.insert(name.clone(), row);
        self.touched.insert(name.clone());
        Some(name.clone())
    }
}

impl Entry {
    /// Whether this is the check of the broker.
    pub(super) fn is_broker(&self) -> bool {
        self.added() && self.shown_kind() == BROKER
    }
}
