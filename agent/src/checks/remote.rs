//! `remote`: a check that runs elsewhere and is heard of.

use std::time::Duration;

use super::{Answers, Kind, Opt, Options, Plan};

/// The entry of `remote` in the table.
pub const KIND: Kind = Kind {
    name: "remote",
    summary: "a check that runs on another machine and reports over MQTT",
    options: &[Opt::seconds(
        "timeout",
        "none",
        "seconds without an update after which it fails; 0 or none: its last state stands",
    )],
    answers: Answers {
        proves: "The agent that runs this check has reported it well, and not too long ago.",
        leaves_open: "Anything the check at the agent leaves open.",
        failure: "It fails as the agent reports it, or because no report came within the timeout; the sentence says which.",
        matters: "`timeout`: some intervals of the check at the agent, so that one lost message is no alert.",
    },
    example: r#"{"type": "remote", "subType": "disk", "trigger": {"interval": {"minutes": 5}}, "options": {"timeout": 900}}"#,
    build,
};

/// Ten years.
const LONGEST: f64 = 315_360_000.0;

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let seconds = options.number("timeout", 0.0..=LONGEST, "seconds");
    let timeout = seconds.filter(|seconds| *seconds > 0.0).map(Duration::from_secs_f64);
    Some(Plan::Remote { timeout })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::testing::{faults, plan};

    #[test]
    fn without_a_timeout_it_never_expires() {
        for options in [json!({}), json!({"timeout": null}), json!({"timeout": 0})] {
            assert!(matches!(plan("remote", options), Plan::Remote { timeout: None }));
        }
        let Plan::Remote { timeout } = plan("remote", json!({"timeout": 900})) else {
            panic!("a remote check")
        };
        assert_eq!(timeout, Some(Duration::from_secs(900)));
        assert_eq!(faults("remote", json!({"timeout": -1})), ["timeout"]);
    }
}
