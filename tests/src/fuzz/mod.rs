//! Every parser of outside input, as a property that fuzzing tries to break: bytes go in, and it panics where something
//! does not hold. `tests/fuzz` makes a binary for libFuzzer of each; the test `corpus` holds each against the inputs that
//! were found so far.

mod topics;
mod triggers;
mod wire;

use fletchck::{
    broker::properties as broker, cli::merge::properties as merge, password::properties as password,
};
use fletchck_agent::{
    checks::properties as checks, config::properties as config, link::properties as link,
};

/// What must hold, whatever the bytes are.
pub type Property = fn(&[u8]);

/// All of them, with the name of the binary and of the folder of inputs.
pub const TARGETS: &[(&str, Property)] = &[
    ("agent_info", wire::agent_info),
    ("broker_packets", broker::broker_packets),
    ("certificate_der", checks::certificate_der),
    ("certificate_pem", checks::certificate_pem),
    ("check_table", merge::check_table),
    ("configuration", config::configuration),
    ("dns_record", checks::dns_record),
    ("dns_reply", checks::dns_reply),
    ("echo_reply", checks::echo_reply),
    ("fleet_message", wire::fleet_message),
    ("host_key", checks::host_key),
    ("host_target", checks::host_target),
    ("http_answer", checks::http_answer),
    ("http_redirect", checks::http_redirect),
    ("imap_conversation", checks::imap_conversation),
    ("imap_response", checks::imap_response),
    ("json_path", checks::json_path),
    ("link_packets", link::link_packets),
    ("log_lines", checks::log_lines),
    ("log_pattern", checks::log_pattern),
    ("message", wire::message),
    ("message_time", checks::message_time),
    ("nut_answer", checks::nut_answer),
    ("password_hash", password::password_hash),
    ("plugin_output", checks::plugin_output),
    ("process_stat", checks::process_stat),
    ("qs_status", checks::qs_status),
    ("registration", checks::registration),
    ("sensor_reading", checks::sensor_reading),
    ("smtp_conversation", checks::smtp_conversation),
    ("smtp_reply", checks::smtp_reply),
    ("ssh_greeting", checks::ssh_greeting),
    ("status_list", checks::status_list),
    ("systemd_units", checks::systemd_units),
    ("temperature", checks::temperature),
    ("topics", topics::topics),
    ("trigger_json", triggers::trigger_json),
    ("trigger_text", triggers::trigger_text),
];

/// The property of this name, found when it is compiled.
///
/// # Panics
/// There is none.
pub const fn property(name: &str) -> Property {
    let mut at = 0;
    while at < TARGETS.len() {
        let (this, property) = TARGETS[at];
        if same(this.as_bytes(), name.as_bytes()) {
            return property;
        }
        at += 1;
    }
    panic!("tests/src/fuzz has no target of this name")
}

/// Comparing texts is not for constants yet.
const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}
