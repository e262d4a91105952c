//! The parsers of what targets answer, where fuzzing can reach them. None of them panics, whatever it is given.

use super::{
    certfile, dns, domain, exec, file, mail, mqtt, ping, process, sensor, ssh, systemd, temp,
};

/// A file with certificates in PEM.
pub fn certificates(bytes: &[u8]) {
    drop(certfile::certificates(bytes));
}

/// The reply of a name server, to the question for the records of `org` of the type that the first two bytes say.
pub fn dns_reply(bytes: &[u8]) {
    dns::reply_of(bytes);
}

/// What a record is expected to be, of the type that the first two bytes say.
pub fn dns_record(bytes: &[u8]) {
    dns::record_of(bytes);
}

/// What a log has grown by.
pub fn log_lines(bytes: &[u8]) {
    file::lines_of(bytes);
}

/// Lines of an IMAP server.
pub fn imap_responses(bytes: &[u8]) {
    _ = String::from_utf8_lossy(bytes).lines().filter_map(mail::Response::read).count();
}

/// The output of a plugin of Nagios.
pub fn plugin_output(bytes: &[u8]) {
    drop(exec::Said::read(bytes));
}

/// Lines of an SMTP server, as one reply.
pub fn smtp_reply(bytes: &[u8]) {
    let mut reply = mail::Reply::default();
    // What is no reply ends it, as on the network.
    _ = String::from_utf8_lossy(bytes).lines().try_for_each(|line| reply.add(line).map(drop));
    drop(reply.features());
}

/// The document of a temperature probe.
pub fn temperature(bytes: &[u8]) {
    _ = temp::temperature(bytes);
}

/// What an SSH server says first.
pub fn ssh_greeting(bytes: &[u8]) {
    drop(ssh::Greeting::read(bytes));
}

/// The answer of an RDAP server.
pub fn registration(bytes: &[u8]) {
    drop(domain::Registration::read(bytes));
}

/// The file `stat` of a process.
pub fn process_stat(bytes: &[u8]) {
    drop(process::Stat::read(bytes));
}

/// The file of one sensor.
pub fn sensor_reading(bytes: &[u8]) {
    _ = sensor::degrees_of(bytes);
}

/// What systemd tells of its units, and which it lists.
pub fn systemd_units(bytes: &[u8]) {
    drop(systemd::Unit::read_all(bytes));
    drop(systemd::failed_units(bytes));
}

/// What is said instead of, or as, the answer to an echo request.
pub fn echo_reply(bytes: &[u8]) {
    ping::parse(bytes);
}

/// The time in a message of MQTT.
pub fn message_time(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice(bytes) {
        _ = mqtt::message_time(&value, fletchck_shared::Tz::UTC);
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    _ = mqtt::message_time(&text.into(), fletchck_shared::Tz::UTC);
}
