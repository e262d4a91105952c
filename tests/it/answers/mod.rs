//! What every type of check that asks over the network makes of servers that answer badly: it fails in time, in plain
//! words, and in little memory.

pub(crate) mod bad;
pub(crate) mod memory;
mod tls;

use std::{fs, sync::Arc};

use anyhow::{Context as _, Result};
use fletchck_tests::{pki::Pair, scripted::Manner};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

/// How a type of check gets at TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// It does not.
    None,
    /// The port speaks it from the first byte on.
    Whole,
}

/// A type of check, and how its servers speak.
struct Case {
    kind: &'static str,
    /// Options beside host, port and timeout.
    options: fn() -> Value,
    tls: Tls,
    manner: Manner,
    /// Whether a server that only takes connections is good enough.
    content: bool,
}

const SMTP: Manner =
    Manner { listens: false, opening: b"220 mail.test ESMTP\r\n", more: b"250-MORE\r\n" };

const HTTP: Manner = Manner {
    listens: true,
    opening: b"HTTP/1.1 200 OK\r\nServer: test\r\n",
    more: b"X-More: and more and more and more\r\n",
};

/// A reply without answers, cut off behind its length.
const DNS: Manner = Manner {
    listens: true,
    opening: b"\xff\xff\x12\x34\x81\x80\0\x01\0\0\0\0\0\0",
    more: b"\x03www",
};

/// A page without end, of a kind that all who read pages begin to read.
const PAGE: Manner = Manner {
    listens: true,
    opening: b"HTTP/1.1 200 OK\r\nServer: test\r\n\r\n",
    more: b"{\"more\": [\"and more\"]}, <more>and more</more>\n",
};

const IMAP: Manner =
    Manner { listens: false, opening: b"* OK ready\r\n", more: b"* 1 FETCH (FLAGS ())\r\n" };

/// The broker lets in whoever asks, in version 5, and sends messages that nobody asked for.
const MQTT: Manner =
    Manner { listens: true, opening: b"\x20\x03\0\0\0", more: b"\x30\x0a\0\x03x/y\0more" };

fn domain() -> Value {
    json!({"domain": "example.test"})
}

/// Every type that connects over TCP. A test sees that none is forgotten.
const CASES: &[Case] = &[
    Case {
        kind: "cert",
        options: || json!({"probe": "PING"}),
        tls: Tls::Whole,
        manner: SMTP,
        content: true,
    },
    Case {
        kind: "dns",
        options: || json!({"reqTcp": true}),
        tls: Tls::None,
        manner: DNS,
        content: false,
    },
    Case { kind: "domain", options: domain, tls: Tls::None, manner: HTTP, content: false },
    Case { kind: "domain", options: domain, tls: Tls::Whole, manner: HTTP, content: false },
    Case { kind: "domain", options: domain, tls: Tls::Whole, manner: PAGE, content: false },
    Case {
        kind: "https",
        options: || json!({"tls": false}),
        tls: Tls::None,
        manner: HTTP,
        content: false,
    },
    Case { kind: "https", options: || json!({}), tls: Tls::Whole, manner: HTTP, content: false },
    Case {
        kind: "https",
        options: || json!({"contains": "x", "redirects": 2}),
        tls: Tls::Whole,
        manner: HTTP,
        content: false,
    },
    Case {
        kind: "https",
        options: || json!({"contains": "x-ray"}),
        tls: Tls::Whole,
        manner: PAGE,
        content: false,
    },
    Case {
        kind: "imap",
        options: || json!({"starttls": true}),
        tls: Tls::None,
        manner: IMAP,
        content: false,
    },
    Case { kind: "imap", options: || json!({}), tls: Tls::Whole, manner: IMAP, content: false },
    Case {
        kind: "mqtt",
        options: || json!({"topic": "a/b", "age": 60}),
        tls: Tls::None,
        manner: MQTT,
        content: false,
    },
    Case {
        kind: "mqtt",
        options: || json!({"topic": "a/b", "age": 60, "tls": true}),
        tls: Tls::Whole,
        manner: MQTT,
        content: false,
    },
    Case {
        kind: "smtp",
        options: || json!({"tls": false}),
        tls: Tls::None,
        manner: SMTP,
        content: false,
    },
    Case { kind: "smtp", options: || json!({}), tls: Tls::None, manner: SMTP, content: false },
    Case {
        kind: "ssh",
        options: || json!({}),
        tls: Tls::None,
        manner: Manner {
            listens: false,
            opening: b"SSH-2.0-test\r\n",
            // A packet that is to be ignored.
            more: b"\0\0\0\x0c\x06\x02\0\0\0\0\0\0\0\0\0\0",
        },
        content: false,
    },
    Case { kind: "submit", options: || json!({}), tls: Tls::Whole, manner: SMTP, content: false },
    Case {
        kind: "tcp",
        options: || json!({"expect": "PONG", "send": "PING"}),
        tls: Tls::None,
        manner: SMTP,
        content: false,
    },
    Case {
        kind: "tcp",
        options: || json!({"tls": true, "expect": "PONG"}),
        tls: Tls::Whole,
        manner: SMTP,
        content: false,
    },
    Case { kind: "tcp", options: || json!({}), tls: Tls::None, manner: SMTP, content: true },
    Case { kind: "temp", options: || json!({}), tls: Tls::None, manner: HTTP, content: false },
    Case { kind: "temp", options: || json!({}), tls: Tls::None, manner: PAGE, content: false },
    Case {
        kind: "ups",
        options: || json!({"upsName": "nas"}),
        tls: Tls::None,
        manner: Manner {
            listens: true,
            opening: b"BEGIN LIST VAR nas\n",
            more: b"VAR nas battery.charge \"100\"\n",
        },
        content: false,
    },
];

/// Every other type, and why it is in no case here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("certfile", THIS_MACHINE),
    ("cpu", THIS_MACHINE),
    ("disk", THIS_MACHINE),
    ("exec", "asks a program; those that answer badly are in `it/exec.rs`"),
    ("file", THIS_MACHINE),
    ("load", THIS_MACHINE),
    ("memory", THIS_MACHINE),
    ("path", THIS_MACHINE),
    ("ping", "holds no conversation; its networks with faults are in `it/ping.rs`"),
    ("process", THIS_MACHINE),
    ("push", "is told, and asks nobody"),
    ("remote", "is told, and asks nobody"),
    ("sensor", THIS_MACHINE),
    ("sequence", "has others ask"),
    ("swap", THIS_MACHINE),
    (
        "systemd",
        "asks the manager of this machine; managers that answer badly stand beside its code",
    ),
    ("upstest", "asks on a serial line; lines that answer badly stand beside its code"),
];

const THIS_MACHINE: &str = "reads what the kernel of this machine has";

impl Case {
    /// The options for a server, with a time limit in seconds.
    fn to(&self, host: &str, port: u16, timeout: f64) -> Value {
        let mut options = (self.options)();
        if options.get("domain").is_some() {
            let scheme = if self.tls == Tls::Whole { "https" } else { "http" };
            options["server"] = format!("{scheme}://{host}:{port}/").into();
        } else {
            options["hostname"] = host.into();
            options["port"] = port.into();
        }
        options["timeout"] = timeout.into();
        options
    }

    fn name(&self) -> String {
        format!("{} {}", self.kind, (self.options)())
    }
}

/// A server's side of TLS with this certificate.
fn server(pair: &Pair) -> Result<Arc<ServerConfig>> {
    let certificates =
        CertificateDer::pem_slice_iter(&fs::read(&pair.cert)?).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(&pair.key)?)?;
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .context("a server's certificate")?;
    Ok(Arc::new(config))
}

#[test]
fn no_type_is_left_out() {
    use fletchck_agent::checks::{KINDS, kind};

    for kind in KINDS {
        let here = CASES.iter().any(|case| case.kind == kind.name);
        let elsewhere = ELSEWHERE.iter().any(|(name, _)| *name == kind.name);
        assert!(here || elsewhere, "{} is a new type: how does it take bad answers?", kind.name);
        assert!(!here || !elsewhere, "{} is in a case and is told to be in none", kind.name);
        // Whatever asks over the network is in a case, but for what speaks over no stream.
        assert!(here || kind.name == "ping" || !kind.asks_network(), "{} is in no case", kind.name);
    }
    for (name, why) in ELSEWHERE {
        assert!(kind(name).is_some(), "there is no type {name} that {why}");
    }
}
