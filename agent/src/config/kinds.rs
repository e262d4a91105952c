//! The types of checks and actions that this program runs, for the reader of configurations.

use fletchck_shared::config::{Fault, Kinds, Site};
use serde_json::{Map, Value};

use crate::{
    actions,
    checks::{self, Opt, OptionFault, push},
};

/// The types listed in [`checks::KINDS`] and [`actions::KINDS`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Built;

impl Kinds for Built {
    fn checks(&self) -> Vec<&'static str> {
        checks::KINDS.iter().map(|kind| kind.name).collect()
    }

    fn actions(&self) -> Vec<&'static str> {
        actions::KINDS.iter().map(|kind| kind.name).collect()
    }

    fn check_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        checks::kind(kind).map(|kind| names(kind.options))
    }

    fn action_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        actions::kind(kind).map(|kind| names(kind.options))
    }

    fn check(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault> {
        checks::kind(kind).map_or_else(Vec::new, |kind| faults(kind.plan(options).1))
    }

    fn action(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault> {
        actions::kind(kind).map_or_else(Vec::new, |kind| faults(kind.action(options).1))
    }

    fn out_of_place(&self, kind: &str, site: &Site) -> Option<(&'static str, &'static str)> {
        let heard = site.webui.is_some() || site.mqtt.is_some() || site.broker.is_some();
        (kind == push::KIND.name && !heard).then_some((
            "nothing here can hear of the job: this site has no pages and no broker",
            "a `webui`, `mqtt` or `broker` section; or this check at the hub",
        ))
    }

    fn action_out_of_place(&self, kind: &str, site: &Site) -> Option<(&'static str, &'static str)> {
        let broker = site.mqtt.is_some() || site.broker.is_some();
        (self.needs_broker(kind) && !broker).then_some((
            "it would tell nobody: this site speaks to no broker",
            "an `mqtt` or a `broker` section; or another type of action",
        ))
    }

    fn needs_broker(&self, kind: &str) -> bool {
        kind == actions::mqtt::KIND.name
    }
}

/// The same types in `fletchck-agent`, which has no pages and hears of nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltAgent;

impl Kinds for BuiltAgent {
    fn checks(&self) -> Vec<&'static str> {
        Built.checks()
    }

    fn actions(&self) -> Vec<&'static str> {
        Built.actions()
    }

    fn check_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        Built.check_options(kind)
    }

    fn action_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        Built.action_options(kind)
    }

    fn check(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault> {
        Built.check(kind, options)
    }

    fn action(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault> {
        Built.action(kind, options)
    }

    fn out_of_place(&self, kind: &str, _: &Site) -> Option<(&'static str, &'static str)> {
        (kind == push::KIND.name).then_some((
            "`fletchck-agent` cannot hear of the job",
            "this check at the hub, or `fletchck` in place of `fletchck-agent`",
        ))
    }

    fn action_out_of_place(&self, kind: &str, site: &Site) -> Option<(&'static str, &'static str)> {
        Built.action_out_of_place(kind, site)
    }

    fn needs_broker(&self, kind: &str) -> bool {
        Built.needs_broker(kind)
    }
}

fn names(options: &'static [Opt]) -> Vec<&'static str> {
    options.iter().map(|option| option.name).collect()
}

fn faults(found: Vec<OptionFault>) -> Vec<Fault> {
    let fault = |found: OptionFault| {
        let make = if found.warning { Fault::warning } else { Fault::error };
        make(found.option, found.wrong, found.right)
    };
    found.into_iter().map(fault).collect()
}

#[cfg(test)]
mod tests {
    use fletchck_shared::{
        Tz,
        config::{self, Severity},
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn an_action_over_mqtt_is_a_fault_where_there_is_no_broker() {
        let mut value = json!({ "actions": { "bus": { "type": "mqtt", "options": { "topic": "home/alerts" } } } });
        let (site, faults) = config::read(&value, &BuiltAgent, Tz::UTC);
        assert!(site.actions.is_empty());
        let [fault] = &faults[..] else { panic!("one fault: {faults:?}") };
        assert!(fault.to_string().contains("this site speaks to no broker"), "{fault}");
        value["mqtt"] = json!({ "hostname": "broker.example" });
        let (site, faults) = config::read(&value, &Built, Tz::UTC);
        assert_eq!((site.actions.len(), faults), (1, Vec::new()));
    }

    #[test]
    fn a_lost_broker_that_would_be_told_of_by_way_of_the_broker_alone_is_a_warning() {
        let mail = json!({ "type": "email", "options": {
            "sender": "a@example.org", "recipients": ["b@example.org"], "hostname": "mail.example.org",
        } });
        let bus =
            json!({ "type": "mqtt", "options": { "topic": "home/alerts" }, "failover": "mail" });
        let mut value = json!({
            "broker": { "listeners": [{ "listen": "127.0.0.1:0" }] },
            "actions": { "bus": bus, "mail": mail }, "fleet": { "actions": ["bus"] },
        });
        let (_, faults) = config::read(&value, &Built, Tz::UTC);
        let [fault] = &faults[..] else { panic!("one fault: {faults:?}") };
        assert_eq!((fault.severity, fault.path.as_str()), (Severity::Warning, "fleet.actions"));
        assert!(fault.to_string().contains("an action of another type than `mqtt`"), "{fault}");
        for well in [json!(["bus", "mail"]), json!(["mail"]), json!([])] {
            value["fleet"]["actions"] = well;
            assert_eq!(config::read(&value, &Built, Tz::UTC).1, Vec::new());
        }
    }
}
