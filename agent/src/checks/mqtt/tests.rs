use serde_json::{Value, json};

use crate::checks::{
    Plan,
    testing::{faults, plan},
};

fn given(more: Value) -> Value {
    let mut options = json!({"hostname": "a", "topic": "a/b", "age": 60});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    options
}

#[test]
fn what_is_missing_or_cannot_work_is_told() {
    assert_eq!(faults("mqtt", json!({})), ["age", "hostname", "topic"]);
    for (more, wrong) in [
        (json!({}), vec![]),
        (json!({"topic": "$SYS/broker/uptime", "age": "1 min", "warnAge": "30 s"}), vec![]),
        (json!({"topic": "a/+"}), vec!["topic"]),
        (json!({"topic": "#"}), vec!["topic"]),
        (json!({"topic": "$share/group/a"}), vec!["topic"]),
        (json!({"topic": "a\u{0}"}), vec!["topic"]),
        (json!({"age": 0}), vec!["age"]),
        (json!({"age": "soon", "warnAge": -1}), vec!["age", "warnAge"]),
        (json!({"warnAge": 60}), vec!["warnAge"]),
        (json!({"timestampPath": "time"}), vec!["timestampPath"]),
        (json!({"timestampPath": "$.t", "expiry": 60}), vec!["expiry"]),
        (json!({"jsonIs": "1", "matches": "("}), vec!["matches", "jsonPath"]),
        (json!({"username": "u", "password": "p"}), vec!["tls"]),
        (json!({"username": "u", "password": "p", "tls": true}), vec![]),
        (json!({"username": "token"}), vec![]),
        (json!({"password": "p", "tls": true}), vec!["username"]),
        (json!({"protocol": "4"}), vec!["protocol"]),
        (json!({"clientKey": "key.pem"}), vec!["clientCert"]),
    ] {
        assert_eq!(faults("mqtt", given(more.clone())), wrong, "{more}");
    }
}

#[test]
fn it_listens_as_long_as_a_message_may_be_old_and_a_minute_at_most() {
    for (more, seconds) in [
        (json!({}), 70),
        (json!({"age": 5}), 15),
        (json!({"age": "1 day"}), 70),
        (json!({"timeout": 3}), 3),
    ] {
        let Plan::Probe(probe) = plan("mqtt", given(more)) else { panic!("a probe") };
        assert_eq!(probe.limit().as_secs(), seconds);
    }
}
