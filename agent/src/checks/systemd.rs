//! `systemd`: whether a unit is as it must be, or whether any has failed.
//!
//! It is asked by `systemctl`, which every machine with systemd has, in the form that is made for programs. A library for
//! D-Bus would bring some fifty crates for one question, and would need the system bus, which root's `systemctl` does not.

mod ask;
mod failed;
mod show;
mod target;
mod unit;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use glob::Pattern;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe, Shape,
    net::{GRACE, Steps},
};
use ask::Systemctl;
pub(super) use show::{Unit, failed_units};
use target::Target;

/// The entry of `systemd` in the table.
pub const KIND: Kind = Kind {
    name: "systemd",
    summary: "a unit of systemd: whether it is active, or that none has failed",
    options: &[
        Opt::text(
            "unit",
            "all that have failed",
            "name of the unit, of a service without its ending; with a pattern such as `backup-*`, or none, no such unit may \
             have failed",
        ),
        Opt::new(
            "expect",
            Shape::Texts,
            "active",
            "states that are well, as `systemctl` shows them, as in [\"active\", \"inactive\"] for a job that runs now and then",
        ),
        Opt::new(
            "ignore",
            Shape::Texts,
            "none",
            "units, or patterns of them, that may have failed; only without a single unit",
        ),
        Opt::number(
            "restarts",
            "any",
            "most times that systemd may have started the service anew since the last run",
        ),
        Opt::flag(
            "user",
            "false",
            "whether the services of this program's user are meant, and not the system's",
        ),
        Opt::seconds("timeout", "10", "seconds that systemd may take to answer"),
    ],
    answers: Answers {
        proves: "systemd holds the unit to be in one of the states. For `inactive` its last end must have been a good one too. \
                 Without a unit: none is `failed`, as `systemctl --failed` lists them.",
        leaves_open: "Whether the service does its work: ask it with `tcp` or `https`. A service that crashes and is started anew \
                      at once is active whenever one looks: `restarts` sees it. A pattern that matches nothing passes.",
        failure: "The sentence says the state, since when, and how the last process ended: by itself with a code, by a signal, out \
                  of memory; or that there is no such unit, that it is masked, or that this machine has no systemd. `journalctl \
                  -u UNIT` has the rest.",
        matters: "`unit`. `expect`: a service of type oneshot is `inactive` between its runs; what starts it is its timer, which is \
                  `active`: watch both. `restarts` = 0 for what must not crash at all.",
    },
    example: r#"{"type": "systemd", "trigger": {"interval": {"minutes": 1}}, "threshold": 2, "options": {"unit": "nginx", "restarts": 0}}"#,
    build,
};

struct Systemd {
    target: Target,
    /// States that are well.
    expect: Vec<String>,
    ignore: Vec<Pattern>,
    restarts: Option<u64>,
    systemctl: Systemctl,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(Systemd::read(options)?)))
}

#[async_trait]
impl Probe for Systemd {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let mut steps = Steps::default();
        steps.begin("ask");
        let outcome = match &self.target {
            Target::Unit(name) => self.look_at(name, look, &mut steps).await,
            Target::Failed(pattern) => {
                self.look_for_failed(pattern.as_deref(), look, &mut steps).await
            }
        };
        let outcome = outcome.unwrap_or_else(|text| Outcome::fail(text.clone()).log([text]));
        steps.complete(outcome)
    }

    fn limit(&self) -> Duration {
        self.systemctl.timeout + GRACE
    }

    fn local(&self) -> bool {
        true
    }
}

impl Systemd {
    fn read(options: &mut Options<'_>) -> Option<Self> {
        let target = Target::read(options);
        let expect = states(options);
        let ignore = ignored(options);
        let restarts =
            options.number("restarts", 0.0..=1e9, "a number of times").map(|most| most as u64);
        match &target {
            Some(Target::Unit(unit)) => {
                if options.given("ignore") {
                    let right = "a unit with a pattern, or none";
                    options.warning(
                        "ignore",
                        "one unit alone is watched, so it does nothing",
                        right,
                    );
                }
                if restarts.is_some() && !unit.ends_with(".service") {
                    options.fault("restarts", "only a service is started anew", "a service");
                }
            }
            _ => {
                for name in ["expect", "restarts"] {
                    if options.given(name) {
                        let wrong = "it does nothing where failed units are looked for";
                        options.warning(name, wrong, "one unit in `unit`");
                    }
                }
            }
        }
        let user = options.flag("user", false);
        let systemctl = Systemctl::new(user, options.seconds("timeout", 10));
        Some(Self { target: target?, expect, ignore, restarts, systemctl })
    }
}

/// The states that are expected, `active` where none are given.
fn states(options: &mut Options<'_>) -> Vec<String> {
    let Some(states) = options.texts("expect") else { return vec!["active".into()] };
    let word = |state: &str| {
        !state.is_empty() && state.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    if states.is_empty() || !states.iter().all(|state| word(state)) {
        let right = "active, inactive, activating, failed, or what `systemctl` shows in brackets: running, exited, waiting";
        options.fault("expect", "there is something else than a state in it", right);
    }
    states.into_iter().map(str::to_owned).collect()
}

fn ignored(options: &mut Options<'_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for text in options.texts("ignore").unwrap_or_default() {
        match Pattern::new(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let right = "names with their endings, as in [\"certbot.service\", \"user@*\"]";
                options.fault("ignore", format!("the pattern is wrong: {error}"), right);
            }
        }
    }
    patterns
}

#[cfg(test)]
mod tests;
