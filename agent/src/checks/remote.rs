//! `remote`: a check that runs elsewhere and is heard of.

use std::time::Duration;

use super::{Kind, Opt, Options, Plan};

/// The entry of `remote` in the table.
pub const KIND: Kind = Kind {
    name: "remote",
    summary: "a check that runs on another machine and reports over MQTT",
    options: &[Opt {
        name: "timeout",
        default: "none",
        meaning: "seconds without an update after which it fails; 0 or none: its last state stands",
    }],
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
