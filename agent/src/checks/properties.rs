//! What must hold of the parsers of what targets answer and owners write, whatever they are given. Each property takes
//! bytes and panics where it does not hold. Fuzzing looks for bytes that break one; the tests try all that it found.
//!
//! A check whose parser nobody else may see has its properties in a `properties.rs` of its own.

mod scripted;

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use fletchck_shared::{CheckName, Tz};
use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};
use serde_json::Value;

use super::{
    Before, Kind, Look, Options, certfile, mqtt,
    net::{Certificate, Target},
    ping, process, sensor, systemd, temp,
};

pub use super::{
    dns::properties::{dns_record, dns_reply},
    domain::properties::registration,
    exec::properties::plugin_output,
    file::properties::{log_lines, log_pattern},
    https::properties::{http_answer, http_redirect, json_path, status_list},
    mail::properties::{imap_conversation, imap_response, smtp_conversation, smtp_reply},
    ssh::properties::{host_key, ssh_greeting},
    ups::properties::{nut_answer, qs_status},
};

pub(super) use scripted::{Scripted, converse};

static NAME: LazyLock<CheckName> =
    LazyLock::new(|| CheckName::try_from("fuzz").expect("a good name"));

static BERLIN: LazyLock<Tz> = LazyLock::new(|| "Europe/Berlin".parse().expect("a zone"));

static BEFORE: LazyLock<Before> = LazyLock::new(Before::default);

/// A file with certificates in PEM.
pub fn certificate_pem(bytes: &[u8]) {
    match certfile::certificates(bytes) {
        Ok(all) => {
            assert!(!all.is_empty());
            all.iter().for_each(|(der, certificate)| shown(der, certificate));
        }
        Err(wrong) => fit(&wrong),
    }
}

/// A certificate as a server shows it.
pub fn certificate_der(bytes: &[u8]) {
    let der = CertificateDer::from(bytes);
    if let Some(certificate) = Certificate::read(bytes) {
        shown(&der, &certificate);
    }
    if let Ok(parsed) = ParsedCertificate::try_from(&der) {
        let name = ServerName::try_from("www.example.org").expect("a name");
        _ = verify_server_name(&parsed, &name);
    }
}

/// The document of a temperature probe.
pub fn temperature(bytes: &[u8]) {
    match temp::temperature(bytes) {
        Ok(degrees) => {
            assert!(degrees.is_finite());
            let document = format!("<root><all><vs1>{degrees}°C</vs1></all></root>");
            assert_eq!(temp::temperature(document.as_bytes()), Ok(degrees));
        }
        Err(error) => assert!(error.to_string().len() < 2 * bytes.len() + 200),
    }
}

/// The host of a check.
pub fn host_target(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(target) = Target::parse(&text) else { return };
    assert_eq!(Target::parse(&target.to_string()).as_ref(), Ok(&target));
    _ = target.server_name();
    let authority = target.authority(None);
    // A dot at the end also says that a name is one, which looks like a hardware address.
    if text.ends_with('.') {
        return;
    }
    let again = Target::parse(&authority).expect("an authority names its host");
    assert_eq!(again.authority(None), authority);
    assert_eq!(again.server_name(), target.server_name());
}

/// All that is told of a certificate.
fn shown(der: &CertificateDer<'_>, certificate: &Certificate) {
    let Look { now, zone, .. } = look();
    let lines = certificate.lines(&[der.clone(), CertificateDer::from(&b"none"[..])], now, zone);
    assert_eq!(lines.len(), 4);
    lines.iter().for_each(|line| fit(line));
    fit(&certificate.told_names());
    fit(&certificate.end(now, zone));
}

/// A text that the other side had a part in must be fit to be shown.
pub(super) fn fit(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// What options make, which are known to be good.
pub(super) fn made<T>(
    kind: &Kind,
    given: &Value,
    make: impl FnOnce(&mut Options<'_>) -> Option<T>,
) -> T {
    let given = given.as_object().expect("options are an object");
    let (made, faults) = Options::read(given, kind.options, make);
    made.unwrap_or_else(|| panic!("{faults:?}"))
}

/// A look, always the same.
pub(super) fn look() -> Look<'static> {
    let now = DateTime::<Utc>::from_timestamp(1_795_000_000, 0).expect("a time in 2026");
    Look { name: &NAME, now, zone: *BERLIN, before: &BEFORE }
}

/// The file `stat` of a process.
pub fn process_stat(bytes: &[u8]) {
    drop(process::Stat::read(bytes));
}

/// The file of one sensor.
pub fn sensor_reading(bytes: &[u8]) {
    assert!(sensor::degrees_of(bytes).is_none_or(f64::is_finite));
}

/// What systemd tells of its units, and which it lists.
pub fn systemd_units(bytes: &[u8]) {
    drop(systemd::Unit::read_all(bytes));
    systemd::failed_units(bytes).iter().for_each(|name| {
        assert!(name.contains('.'), "{name}");
        fit(name);
    });
}

/// What is said instead of, or as, the answer to an echo request.
pub fn echo_reply(bytes: &[u8]) {
    ping::parse(bytes);
}

/// The time in a message of MQTT.
pub fn message_time(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned().into();
    // One that changes its clocks by a rule for ever, and one that does not.
    for zone in ["Europe/Berlin".parse().unwrap_or(Tz::UTC), Tz::UTC] {
        if let Ok(value) = serde_json::from_slice(bytes) {
            _ = mqtt::message_time(&value, zone);
        }
        _ = mqtt::message_time(&text, zone);
    }
}
