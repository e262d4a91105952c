//! What the tests of checks share.

use std::sync::Arc;

use chrono::Utc;
use fletchck_shared::{CheckName, Outcome, Tz};
use serde_json::Value;

use super::{Before, Kind, Look, OptionFault, Plan, Probe, kind};

/// What is made of these options.
pub(super) fn plan(name: &str, options: Value) -> Plan {
    let (plan, faults) = read(name, options);
    plan.unwrap_or_else(|| panic!("{name}: {faults:?}"))
}

/// The probe made of these options.
pub(super) fn probe(name: &str, options: Value) -> Arc<dyn Probe> {
    match plan(name, options) {
        Plan::Probe(probe) => probe,
        other => panic!("{name} is no probe: {other:?}"),
    }
}

/// What is made of these options, if it runs, and all that is wrong with them.
pub(super) fn read(name: &str, options: Value) -> (Option<Plan>, Vec<OptionFault>) {
    let options = options.as_object().expect("options are an object");
    let kind: &Kind = kind(name).expect("a type of check");
    kind.plan(options)
}

/// The options that something is wrong with.
pub(super) fn faults(name: &str, options: Value) -> Vec<String> {
    read(name, options).1.into_iter().map(|fault| fault.option).collect()
}

/// One look of a check that passed before.
pub(super) async fn look(probe: &dyn Probe) -> Outcome {
    look_after(probe, &Before::default()).await
}

/// One look of a check that stood like this before.
pub(super) async fn look_after(probe: &dyn Probe, before: &Before) -> Outcome {
    let name = CheckName::try_from("test").expect("a name");
    probe.look(&Look { name: &name, now: Utc::now(), zone: Tz::UTC, before }).await
}
