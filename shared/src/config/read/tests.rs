use crate::Tz;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::read;
use crate::config::{Fault, Kinds, Severity, Site};

/// Four types of checks and one of actions, enough for everything that is judged here.
struct Few;

impl Kinds for Few {
    fn checks(&self) -> Vec<&'static str> {
        vec!["disk", "memory", "remote", "sequence"]
    }

    fn actions(&self) -> Vec<&'static str> {
        vec!["log"]
    }

    fn check_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        match kind {
            "disk" => Some(vec!["volume", "level", "password"]),
            "memory" => Some(vec!["level"]),
            "remote" => Some(vec!["timeout"]),
            "sequence" => Some(vec!["checks"]),
            _ => None,
        }
    }

    fn action_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        (kind == "log").then(Vec::new)
    }

    fn check(&self, _: &str, options: &Map<String, Value>) -> Vec<Fault> {
        match options.get("level").map(|level| (level, level.as_i64())) {
            Some((_, Some(1..=100))) | None => Vec::new(),
            Some((level, _)) => {
                vec![Fault::error("level", format!("{level} is no percentage"), "1 to 100")]
            }
        }
    }

    fn action(&self, _: &str, _: &Map<String, Value>) -> Vec<Fault> {
        Vec::new()
    }
}

fn seen(value: &Value) -> (Site, String) {
    let (site, faults) = read(value, &Few, Tz::UTC);
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    (site, lines.join("\n"))
}

fn names(site: &Site) -> Vec<&str> {
    site.checks.keys().map(|name| name.as_str()).collect()
}

#[test]
fn an_empty_object_is_a_site_that_does_nothing() {
    let (site, faults) = seen(&json!({}));
    assert_eq!(faults, "");
    assert!(site.checks.is_empty() && site.webui.is_none() && site.mqtt.is_none());
    assert!(!site.fleet.hub);
}

#[test]
fn what_is_no_object_is_no_site() {
    let (_, faults) = seen(&json!([1]));
    insta::assert_snapshot!(faults, @"error: the file: this is a list; an object, `{…}`");
}

#[test]
fn every_fault_of_a_nasty_site_is_told_at_once() {
    let (site, faults) = seen(&json!({
        "timezone": "Australia/Adelade",
        "chekcs": {},
        "webui": { "port": "8443", "users": { "admin": "plain" }, "cert": "c.pem" },
        "mqtt": { "port": true, "qos": 3, "basetopic": "a/#/b", "password": 5, "tsl": true,
                  "protocol": "4" },
        "broker": { "listeners": [{ "listen": "8883", "tls": true }, 7],
                    "users": { "nas": {}, "x": { "password": "open", "publish": ["#/a"] } } },
        "agent": { "id": "my host", "labels": { "room": [] } },
        "fleet": { "prefix": "a//b", "grace": -1, "actions": ["lgo"] },
        "limits": { "probes": 0 },
        "actions": { "log": { "type": "log" }, "mail": { "type": "email" }, "x": { "type": "lgo" },
                     "": {}, "n": 3 },
        "checks": {
            "no object": 1,
            "no type": {},
            "typo": { "type": "dsik" },
            "later": { "type": "smtp" },
            "types": { "type": "disk", "threshold": true, "retries": "2", "priority": 1.0,
                       "paused": 1, "publish": "a/#", "actions": "log", "depends": [1],
                       "options": [] },
            "ranges": { "type": "disk", "threshold": 0, "retries": 99999999,
                        "options": { "level": 900, "timezone": "Mars" } },
            "names": { "type": "disk", "actions": ["mail", "lgo", "log", "log"],
                       "depends": ["later", "memry", "memory", "memory"] },
            "memory": { "type": "memory", "tresh": 1, "options": { "levle": 5, "volume": null } },
            "a\nb": { "type": "memory" },
        },
    }));
    insta::assert_snapshot!(faults, @r#"
    error: timezone: `Australia/Adelade`: there is no such zone, did you mean `Australia/Adelaide`?; the name of a zone, `Australia/Adelaide` for example, or null for the host's
    warning: chekcs: unknown key; did you mean `checks`?
    error: agent.labels.room: no label; a text in quotes
    error: agent.id: `my host`: a name must not contain ' '; letters, digits, `.`, `_` and `-`; without one, an id is made from the host name
    error: webui.users.admin: this is no argon2 hash, so this user cannot log in; set a password with `fletchck passwd`
    error: webui.port: `8443` is a text; a whole number from 0 to 65535
    error: webui.key: missing beside `cert`; the path of its PEM file
    error: mqtt.port: true is a bool; a whole number from 1 to 65535
    error: mqtt.password: this is an int; a text in quotes
    error: mqtt.qos: 3 is over 2; a whole number from 0 to 2
    error: mqtt.basetopic: `a/#/b`: `+` and `#` are wildcards: `#` stands only at the end; a topic to subscribe to, `fletchck/#` for example
    error: mqtt.protocol: `4`: unknown version of MQTT; "5", "3.1.1", or null for either
    warning: mqtt.tsl: unknown key; did you mean `tls`?
    error: broker.listeners[0].listen: `8883`: invalid socket address syntax; an address and a port, `0.0.0.0:8883` or `[::]:8883` for example
    error: broker.listeners[0].tls: there is no certificate: neither here nor in `webui`; `cert` and `key` with the paths of PEM files
    error: broker.listeners[1]: 7 is an int; an object, `{…}`
    error: broker.users.nas.password: missing; an argon2 hash; `fletchck add-agent NAME` makes one
    error: broker.users.x.password: this is no argon2 hash; an argon2 hash; `fletchck add-agent NAME` makes one
    error: broker.users.x.publish[0]: `+` and `#` are wildcards: `#` stands only at the end; a topic filter, `home/#` for example
    error: limits.probes: 0 is under 1; a whole number from 1 to 100000
    error: actions.mail.type: this version of fletchck does not run `email` actions yet, it tells nobody; until it does, use log
    error: actions.x.type: there is no type of action `lgo`; did you mean `log`?
    error: actions."": a name must not be empty; another name
    error: actions."".type: missing; one of log
    error: actions.n: 3 is an int; an object, `{…}`
    error: fleet.prefix: `a//b`: it has an empty level; one or more topic levels, `fletchck` for example
    error: fleet.actions[0]: there is no action `lgo`, so nobody is told that way; did you mean `log`?
    error: fleet.grace: -1 is under 0; a whole number from 0 to 86400
    error: checks."no object": 1 is an int; an object, `{…}`
    error: checks."no type".type: missing; types of checks: disk, memory, remote, sequence
    error: checks.typo.type: there is no type of check `dsik`; did you mean `disk`?
    error: checks.later.type: this version of fletchck does not run `smtp` checks yet; nothing to mend: the check stays in the file until a version that runs it
    error: checks.types.options: this is a list; an object, `{…}`
    error: checks.types.threshold: true is a bool; a whole number from 1 to 1000000
    error: checks.types.retries: `2` is a text; a whole number from 1 to 1000000
    error: checks.types.actions: `log` is a text; a list of texts, `["…"]`
    error: checks.types.priority: 1.0 is a decimal number; a whole number
    error: checks.types.paused: 1 is an int; true or false
    error: checks.types.publish: `a/#`: `+` and `#` are wildcards: a topic to publish to has none; a topic, `home/nas/disk` for example
    error: checks.types.depends[0]: 1 is an int; a text in quotes
    error: checks.ranges.options.level: 900 is no percentage; 1 to 100
    error: checks.ranges.options.timezone: `Mars`: there is no such zone, did you mean `Europe/Paris`?; the name of a zone, `Australia/Adelaide` for example, or null for the host's
    error: checks.ranges.threshold: 0 is under 1; a whole number from 1 to 1000000
    error: checks.ranges.retries: 99999999 is over 1000000; a whole number from 1 to 1000000
    warning: checks.names.actions[0]: action `mail` does not run, so nobody is told that way; mend the action `mail`
    error: checks.names.actions[1]: there is no action `lgo`, so nobody is told that way; did you mean `log`?
    warning: checks.names.depends[0]: check `later` does not run, so this check runs without it; mend the check `later`
    error: checks.names.depends[1]: there is no check `memry`, so this check runs without it; did you mean `memory`?
    warning: checks.names.depends[3]: `memory` stands here twice; once is enough, the first counts
    warning: checks.memory.options.levle: unknown option of this type; did you mean `level`?
    warning: checks.memory.options.volume: unknown option of this type; it is kept in the file and does nothing
    warning: checks.memory.tresh: unknown key; it is kept in the file and does nothing
    error: checks."a\nb": a name must not contain '\n'; another name
    "#);
    assert_eq!(names(&site), ["names", "memory"]);
    // What does not run stays named, for whoever comes after it.
    let actions: Vec<_> = site.checks["names"].actions.iter().map(|name| name.as_str()).collect();
    assert_eq!(actions, ["mail", "lgo", "log"]);
    assert_eq!(site.checks["names"].depends.len(), 1);
    assert!(site.webui.is_none() && site.mqtt.is_none());
}

#[test]
fn circles_are_named_whole_and_cut_so_that_every_check_runs() {
    let (site, faults) = seen(&json!({ "checks": {
        "a": { "type": "disk", "depends": ["b"] },
        "b": { "type": "disk", "depends": ["c"] },
        "c": { "type": "disk", "depends": ["a", "d"] },
        "d": { "type": "disk", "depends": ["d"] },
        "self": { "type": "sequence", "options": { "checks": ["self", "a"] } },
        "one": { "type": "sequence", "options": { "checks": ["two", "a"] } },
        "two": { "type": "sequence", "options": { "checks": ["one", "a"] } },
        "in": { "type": "disk", "depends": ["all"] },
        "all": { "type": "sequence", "options": { "checks": ["in"] } },
    } }));
    insta::assert_snapshot!(faults, @r#"
    error: checks.a.depends[0]: a circle: `a` depends on `b`, which depends on `c`, which depends on `a`; leave out one of these; until then they run as if they did not depend
    error: checks.d.depends[0]: a circle: `d` depends on `d`; leave out one of these; until then they run as if they did not depend
    error: checks.self.options.checks[0]: a circle: `self` has the member `self`; leave out one of these; until then none of them has the next as a member
    error: checks.one.options.checks[0]: a circle: `one` has the member `two`, which has the member `one`; leave out one of these; until then none of them has the next as a member
    error: checks.in.depends[0]: a circle: `in` depends on `all`, which has the member `in`; leave out one of these; until then they run as if they did not depend
    "#);
    assert_eq!(site.checks.len(), 9);
    assert_eq!(site.checks["c"].depends, ["d".try_into().expect("a name")]);
    assert_eq!(site.checks["two"].options["checks"], json!(["a"]));
    assert_eq!(site.checks["all"].options["checks"], json!(["in"]));
}

#[test]
fn a_sequence_runs_without_a_faulty_member_but_not_without_any() {
    let (site, faults) = seen(&json!({ "checks": {
        "bad": { "type": "disk", "threshold": "x" },
        "good": { "type": "disk", "depends": ["lost"] },
        "some": { "type": "sequence", "options": { "checks": ["bad", "good"] } },
        "lost": { "type": "sequence", "options": { "checks": ["bad", "gone"] } },
        "over": { "type": "sequence", "options": { "checks": ["lost"] } },
        "empty": { "type": "sequence", "options": { "checks": [] } },
    } }));
    insta::assert_snapshot!(faults, @r#"
    error: checks.bad.threshold: `x` is a text; a whole number from 1 to 1000000
    warning: checks.good.depends[0]: check `lost` does not run, so this check runs without it; mend the check `lost`
    warning: checks.some.options.checks[0]: check `bad` does not run, so the sequence runs without it; mend the check `bad`
    warning: checks.lost.options.checks[0]: check `bad` does not run, so the sequence runs without it; mend the check `bad`
    error: checks.lost.options.checks[1]: there is no check `gone`, so the sequence runs without it; checks: empty, good, lost, over, some
    error: checks.lost.options.checks: none of its members runs; a member that runs; this sequence does not run until it has one
    warning: checks.over.options.checks[0]: check `lost` does not run, so the sequence runs without it; mend the check `lost`
    error: checks.over.options.checks: none of its members runs; a member that runs; this sequence does not run until it has one
    "#);
    assert_eq!(names(&site), ["good", "some", "empty"]);
    assert_eq!(site.checks["some"].options["checks"], json!(["good"]));
}

#[test]
fn triggers_that_never_ran_in_the_original_are_told() {
    let (site, faults) = seen(&json!({ "checks": {
        "zero": { "type": "disk", "trigger": { "interval": { "minutes": 0 } } },
        "back": { "type": "disk", "trigger": { "interval": { "minutes": -1 } } },
        "unit": { "type": "disk", "trigger": { "interval": { "mins": 5 } } },
        "cron": { "type": "disk", "trigger": { "cron": { "hour": 25 } } },
        "zone": { "type": "disk", "trigger": { "cron": { "hour": 1, "timezone": "Mars" } } },
        "text": { "type": "disk", "trigger": "5 min" },
        "none": { "type": "disk", "trigger": {} },
        "well": { "type": "disk", "trigger": { "cron": { "hour": "1-5", "timezone": "UTC" } } },
    } }));
    insta::assert_snapshot!(faults, @r#"
    error: checks.zero.trigger: the interval is zero, write for example `5 min` (the shortest is `1 sec`); as in `{"interval": {"minutes": 5}}`
    error: checks.back.trigger: `minutes` is -1, write a number that is not negative, such as `5`; as in `{"interval": {"minutes": 5}}`
    error: checks.unit.trigger: unknown key `mins` in `interval`, it can have weeks, days, hours, minutes, seconds, start_date, end_date, timezone, jitter; as in `{"interval": {"minutes": 5}}`
    error: checks.cron.trigger: hour `25`: 25 is out of range, this field goes from 0 to 23; as in `{"cron": {"hour": 3, "minute": 30}}`
    error: checks.zone.trigger: unknown time zone `Mars`, did you mean `Europe/Paris`?; as in `{"cron": {"hour": 3, "minute": 30}}`
    error: checks.text.trigger: a trigger is {"interval": {...}} or {"cron": {...}}, but here is "5 min"; as in `{"interval": {"minutes": 5}}`
    error: checks.none.trigger: a trigger is {"interval": {...}} or {"cron": {...}}, but here is {}; as in `{"interval": {"minutes": 5}}`
    "#);
    assert_eq!(names(&site), ["well"]);
}

#[test]
fn one_remote_id_is_heard_by_one_check() {
    let (site, faults) = seen(&json!({ "checks": {
        "a": { "type": "remote", "remoteId": "root" },
        "b": { "type": "remote", "remoteId": "root" },
        "root": { "type": "remote" },
        "disk": { "type": "disk", "remoteId": "x" },
        "old": { "type": "remote", "remoteId": "" },
    } }));
    insta::assert_snapshot!(faults, @r#"
    error: checks.b.remoteId: `a` has the id `root` already; another id: each is heard by one check
    warning: checks.root: messages of this name go to `a`, whose remoteId it is; another name, or a remoteId for this check too
    warning: checks.disk.remoteId: a `disk` check hears of no other; leave it out, or make this a check of type `remote`
    "#);
    assert_eq!(names(&site), ["a", "root", "disk", "old"]);
}

#[test]
fn an_agent_is_not_taken_for_the_hub() {
    let (site, faults) = seen(&json!({ "agent": { "id": "hub" } }));
    insta::assert_snapshot!(faults, @"error: agent.id: `hub`: this name is the hub's own; letters, digits, `.`, `_` and `-`; without one, an id is made from the host name");
    assert_eq!(site.agent.id, None);
}

#[test]
fn the_originals_spellings_are_read() {
    let (site, faults) = seen(&json!({
        "base": "/srv", "log": ["Starting"], "timezone": null,
        "webui": { "host": "0.0.0.0", "port": 443, "users": null },
        "mqtt": { "port": null, "tls": true, "basetopic": "", "username": null },
        "actions": null,
        "checks": { "x": { "type": "disk", "trigger": null, "threshold": null, "publish": "",
            "options": { "level": null, "_path": "/x", "timezone": "europe/berlin" },
            "data": { "failState": false, "failCount": 0, "log": [], "lastPass": "23 Nov 2026 03:13 CET",
                      "lastUpdate": "2026-11-23T03:15:00.5+01:00" } } },
    }));
    assert_eq!(faults, "");
    assert_eq!(site.webui.as_ref().map(|web| web.hostname.as_str()), Some("0.0.0.0"));
    assert_eq!(site.mqtt.as_ref().map(|mqtt| mqtt.port), Some(8883));
    let check = &site.checks["x"];
    assert_eq!(check.timezone, Some("Europe/Berlin".parse().expect("a zone")));
    assert!(check.options.is_empty());
    let seed = check.seed.as_ref().expect("read from `data`");
    assert_eq!(seed.last_pass.map(|at| at.to_rfc3339()), Some("2026-11-23T02:13:00+00:00".into()));
    let heard = seed.last_update.map(|at| at.to_rfc3339());
    assert_eq!(
        heard,
        Some("2026-11-23T02:15:00.500+00:00".into()),
        "when it was heard last is lost"
    );
}

#[test]
fn the_site_that_the_original_saved_has_no_fault_but_types_to_come() {
    let text = include_str!("../../../samples/site-saved-by-original.json");
    let value = serde_json::from_str(text).expect("JSON");
    let (_, faults) = read(&value, &Few, Tz::UTC);
    for fault in faults {
        assert!(fault.wrong.contains("does not run") && fault.path.ends_with(".type"), "{fault}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let (_, faults) = seen(&json!({
        "mqtt": { "password": ["hunter2"], "username": "u" },
        "webui": { "users": { "admin": "hunter2" } },
        "broker": { "users": { "nas": { "password": "hunter2" } } },
    }));
    assert!(!faults.contains("hunter2"), "{faults}");
    let (site, faults) = seen(&json!({
        "mqtt": { "password_file": "p", "username": "u" },
        "checks": { "d": { "type": "disk", "options": { "password_file": "p" } } },
    }));
    insta::assert_snapshot!(faults, @r#"
    error: mqtt.password_file: the secret was not read from its file; a file with the secret in it
    error: checks.d.options.password_file: the secret was not read from its file; a file with the secret in it
    "#);
    assert!(site.mqtt.is_none() && site.checks.is_empty());
}

fn json_values() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "timezone",
            "webui",
            "mqtt",
            "broker",
            "agent",
            "fleet",
            "limits",
            "actions",
            "checks",
            "a",
            "b",
            "type",
            "options",
            "depends",
            "users",
            "listeners",
            "trigger",
            "interval",
            "cron",
            "data",
            "port",
            "hostname",
            "threshold",
            "remoteId",
            "publish",
            "basetopic",
            "labels",
        ])
        .prop_map(String::from),
        "\\PC{0,5}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["disk", "sequence", "remote", "log", "a", "b", "UTC", "5 min"])
            .prop_map(Value::from),
        "\\PC{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Sites of a dozen sound checks with random edges among them.
fn tangles() -> impl Strategy<Value = Value> {
    let names = || prop::collection::vec((0..12_u32).prop_map(|n| format!("c{n}")), 0..4);
    prop::collection::vec((any::<bool>(), names(), names()), 1..12).prop_map(|checks| {
        let check = |(number, (sequence, depends, members))| {
            let check = match sequence {
                true => json!({ "type": "sequence", "depends": depends, "options": { "checks": members } }),
                false => json!({ "type": "disk", "depends": depends }),
            };
            (format!("c{number}"), check)
        };
        json!({ "checks": checks.into_iter().enumerate().map(check).collect::<Map<_, _>>() })
    })
}

proptest! {
    #[test]
    fn no_value_makes_reading_panic(value in json_values()) {
        _ = read(&value, &Few, Tz::UTC);
    }

    #[test]
    fn what_is_read_of_a_tangle_has_no_circle_and_only_names_that_run(value in tangles()) {
        let (site, faults) = read(&value, &Few, Tz::UTC);
        let mut rest: Vec<(String, Vec<String>)> = site.checks.iter().map(|(name, check)| {
            let members = check.options.get("checks").and_then(Value::as_array);
            let members = members.into_iter().flatten().filter_map(Value::as_str).map(String::from);
            let names = check.depends.iter().map(ToString::to_string).chain(members).collect();
            (name.to_string(), names)
        }).collect();
        for (_, names) in &rest {
            for name in names {
                prop_assert!(site.checks.contains_key(name.as_str()));
            }
        }
        // Takes away what hangs on nothing, until nothing is left.
        while !rest.is_empty() {
            let free: Vec<String> = rest.iter().filter(|(_, n)| n.is_empty()).map(|(n, _)| n.clone()).collect();
            prop_assert!(!free.is_empty(), "{rest:?}");
            rest.retain(|(name, _)| !free.contains(name));
            rest.iter_mut().for_each(|(_, names)| names.retain(|name| !free.contains(name)));
        }
        // Every check that a file has runs, or an error names it.
        for name in value["checks"].as_object().expect("made so").keys() {
            let told = |fault: &Fault| {
                fault.severity == Severity::Error && fault.path.starts_with(&format!("checks.{name}."))
            };
            prop_assert!(site.checks.contains_key(name.as_str()) || faults.iter().any(told), "{name}");
        }
    }
}
