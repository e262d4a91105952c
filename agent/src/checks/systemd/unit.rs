//! One unit: its state, and the sentence for it.

use chrono::{DateTime, SecondsFormat, Utc};
use fletchck_shared::Outcome;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::{Look, net::Steps, quantity::time_words},
    Systemd,
    show::{PROPERTIES, Unit},
};

impl Systemd {
    pub(super) async fn look_at(
        &self,
        name: &str,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<Outcome, String> {
        let end = Instant::now() + self.systemctl.timeout;
        let answer = self.systemctl.ask(&["show", PROPERTIES, "--", name], end, steps).await?;
        match &Unit::read_all(&answer)[..] {
            [unit, ..] => Ok(self.judge(unit, look)),
            [] => Err(format!("`systemctl` tells no state of {name}, though it ended well")),
        }
    }

    pub(super) fn judge(&self, unit: &Unit, look: &Look<'_>) -> Outcome {
        let restarts = Restarts::read(unit, look.before.kept.as_ref());
        let mut outcome = match self.wrong(unit, look.now) {
            Some(text) => Outcome::fail(text),
            None => self.running(unit, &restarts, look.now),
        };
        outcome.level = Some(unit.state());
        outcome.keep = restarts.keep(unit);
        let time = |at: DateTime<Utc>| {
            at.with_timezone(&look.zone).to_rfc3339_opts(SecondsFormat::Secs, true)
        };
        let mut log = vec![format!("{}: {}", unit.id, unit.state())];
        if let Some(since) = unit.since {
            log[0] += &format!(" since {}", time(since));
        }
        if !unit.well() {
            log.push(format!("Last end: it {}", unit.end()));
        }
        if let Some(all) = restarts.all {
            let new =
                restarts.new.map_or(String::new(), |new| format!(", {new} since the last run"));
            log.push(format!("Restarts: {all}{new}"));
        }
        for (what, at) in [("Last run", unit.last), ("Next run", unit.next)] {
            log.extend(at.map(|at| format!("{what}: {}", time(at))));
        }
        if !unit.file.is_empty() {
            log.push(format!("Unit file: {}", unit.file));
        }
        if unit.changed {
            log.push("Its file was changed since it was read: `systemctl daemon-reload`".into());
        }
        outcome.log(log)
    }

    /// What is wrong with its state, if anything is.
    fn wrong(&self, unit: &Unit, now: DateTime<Utc>) -> Option<String> {
        let Unit { id, load, active, .. } = unit;
        let expected = self.expect.join(" or ");
        let expects = |state: &str| self.expect.iter().any(|word| word == state);
        // One that reads its settings again works on meanwhile.
        let reloads = matches!(&**active, "reloading" | "refreshing");
        if expects(active) || expects(&unit.sub) || (reloads && expects("active")) {
            let badly = active == "inactive" && !unit.well();
            return badly.then(|| {
                format!(
                    "{id} is {}, but it {}: see {}",
                    unit.state(),
                    unit.end(),
                    journal(self, id)
                )
            });
        }
        let user = if self.systemctl.user { " --user" } else { "" };
        let long = time_words((now - unit.since.unwrap_or(now)).to_std().unwrap_or_default());
        let state = match unit.since {
            Some(_) => format!("{} for {long}", unit.state()),
            None => unit.state(),
        };
        Some(match (&**load, &**active, &*unit.sub) {
            ("not-found", ..) => {
                format!(
                    "there is no unit {id}: is its name right, and is installed what it belongs to?"
                )
            }
            ("masked", ..) => format!(
                "{id} is masked, so that nothing can start it, expected {expected}: `systemctl{user} unmask {id}`"
            ),
            ("bad-setting" | "error", ..) => {
                let error = if unit.load_error.is_empty() { load } else { &unit.load_error };
                format!(
                    "the file of {id} cannot be used: {error} See `systemctl{user} status {id}`"
                )
            }
            (_, "failed", _) => format!(
                "{id} has failed for {long}, expected {expected}: it {}; see {}",
                unit.end(),
                journal(self, id)
            ),
            (_, "activating", "auto-restart") => format!(
                "{id} waits to be started anew, expected {expected}: it {}; see {}",
                unit.end(),
                journal(self, id)
            ),
            (_, "inactive", _) if unit.unmet => format!(
                "{id} is {state}, expected {expected}: a condition in its file kept it from being started"
            ),
            (_, "inactive", _) if unit.kind == "oneshot" && unit.well() => format!(
                "{id} is {state}, expected {expected}: it is of type oneshot and ended well, which is its rest where `expect` \
                 has `inactive`"
            ),
            (_, "inactive", _) => {
                format!("{id} is {state}, expected {expected}: `systemctl{user} start {id}`")
            }
            _ => format!("{id} is {state}, expected {expected}"),
        })
    }

    /// What is said of a unit in a state that is well.
    fn running(&self, unit: &Unit, restarts: &Restarts, now: DateTime<Utc>) -> Outcome {
        let id = &unit.id;
        let mut text = format!("{id} is {}", unit.state());
        if let Some(since) = unit.since {
            text += &format!(" for {}", time_words((now - since).to_std().unwrap_or_default()));
        }
        match (self.restarts, restarts) {
            (Some(_), Restarts { all: None, .. }) => {
                return Outcome::fail(format!(
                    "{text}, but its systemd does not count restarts: that takes version 235"
                ));
            }
            (Some(most), Restarts { new: Some(new), .. }) if *new > most => {
                let times = if *new == 1 { "once".into() } else { format!("{new} times") };
                let most = if most == 0 { "never".into() } else { format!("at most {most}") };
                return Outcome::fail(format!(
                    "{text}, but was started anew {times} since the last run, expected {most}: see {}",
                    journal(self, id)
                ));
            }
            _ => {}
        }
        if unit.load == "masked" {
            return Outcome::pass(format!(
                "{text}, but masked: once it ends, nothing can start it"
            ))
            .warning(true);
        }
        Outcome::pass(text)
    }
}

/// How often a service was started anew by systemd.
struct Restarts {
    /// In all.
    all: Option<u64>,
    /// Since the last run of the check, where there was one.
    new: Option<u64>,
}

impl Restarts {
    fn read(unit: &Unit, kept: Option<&Value>) -> Self {
        let kept = kept.filter(|kept| kept["unit"] == *unit.id);
        let before = kept.and_then(|kept| kept["restarts"].as_u64());
        // Whoever starts it by hand starts the count again.
        let new = |all: u64| Some(all.checked_sub(before?).unwrap_or(all));
        Self { all: unit.restarts, new: unit.restarts.and_then(new) }
    }

    fn keep(&self, unit: &Unit) -> Option<Value> {
        self.all.map(|all| json!({"unit": unit.id, "restarts": all}))
    }
}

/// The command that shows what a unit has said.
fn journal(check: &Systemd, id: &str) -> String {
    let user = if check.systemctl.user { "--user " } else { "" };
    format!("`journalctl {user}-u {id}`")
}
