mod imap;
mod login;
mod smtp;

use std::time::Duration;

use fletchck_shared::{Outcome, Verdict};
use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, DuplexStream,
    },
    net::TcpListener,
    time::Instant,
};

use super::{PASSWORD, USERNAME, login::Login};
use crate::{
    checks::testing::{faults, look, probe},
    options::Options,
};

/// What a server says: its greeting first, then to each line that begins so the answer, with the line's first word for
/// `TAG`. Where there is no answer it hangs up, and to `...` it is silent.
type Script = &'static [(&'static str, &'static str)];

async fn play(stream: impl AsyncRead + AsyncWrite + Unpin, script: Script) {
    let mut stream = BufReader::new(stream);
    let mut script = script.iter();
    let Some((_, greeting)) = script.next() else { return };
    // Whoever has heard enough hangs up.
    stream.write_all(greeting.as_bytes()).await.ok();
    for (begins, answer) in script {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok();
        assert!(line.starts_with(begins), "{line:?} does not begin with {begins:?}");
        if *answer == "..." {
            std::future::pending::<()>().await;
        }
        let tag = line.split_whitespace().next().unwrap_or_default();
        stream.write_all(answer.replace("TAG", tag).as_bytes()).await.ok();
    }
}

async fn server(script: Script) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        play(stream, script).await;
    });
    port
}

async fn ask(kind: &str, script: Script, more: Value) -> Outcome {
    let port = server(script).await;
    let mut options = json!({"hostname": "127.0.0.1", "port": port, "timeout": 1});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    let probe = probe(kind, options);
    let began = Instant::now();
    let mut outcome = look(&*probe).await;
    assert!(began.elapsed() < probe.limit() + Duration::from_secs(1));
    outcome.text = outcome.text.replace(&port.to_string(), "PORT");
    outcome
}

const HELLO: (&str, &str) =
    ("EHLO [127.0.0.1]\r\n", "250-fake\r\n250-STARTTLS\r\n250 8BITMIME\r\n");

/// The other end of a conversation that TLS would protect.
fn protected(script: Script) -> DuplexStream {
    let (server, client) = tokio::io::duplex(4096);
    tokio::spawn(play(server, script));
    client
}

fn user(password: &str) -> Login {
    let options = json!({"username": "user", "password": password});
    let options = options.as_object().expect("options");
    let known = &[USERNAME, PASSWORD];
    let (login, faults) = Options::read(options, known, Login::read);
    login.unwrap_or_else(|| panic!("{faults:?}"))
}

#[tokio::test]
async fn tls_must_be_offered_and_nothing_may_come_before_it() {
    for (kind, options, script, words) in [
        (
            "smtp",
            json!({}),
            &[("", "220 a\r\n"), ("EHLO", "250-fake\r\n250 SIZE\r\n")] as Script,
            "it offers no STARTTLS (for SMTP without TLS set `tls` to false)",
        ),
        (
            "smtp",
            json!({}),
            &[("", "220 a\r\n"), HELLO, ("STARTTLS\r\n", "454 not now\r\n")],
            "STARTTLS was answered `454 not now`, wanted 220",
        ),
        (
            "smtp",
            json!({}),
            &[("", "220 a\r\n"), HELLO, ("STARTTLS\r\n", "220 go\r\n250 injected\r\n")],
            "which somebody may have put there",
        ),
        (
            "imap",
            json!({"starttls": true}),
            &[("", "* OK a\r\n"), ("a1 STARTTLS\r\n", "TAG OK go\r\na2 OK injected\r\n")],
            "which somebody may have put there",
        ),
        (
            "imap",
            json!({"starttls": true}),
            &[("", "* OK a\r\n"), ("a1 STARTTLS\r\n", "TAG BAD what?\r\n")],
            "STARTTLS was answered `BAD what?`, wanted OK",
        ),
        (
            "imap",
            json!({"starttls": true}),
            &[("", "* PREAUTH a\r\n")],
            "it greets with PREAUTH, after which there is no STARTTLS",
        ),
        (
            "submit",
            json!({}),
            &[("", "220 a\r\n"), ("", "")],
            "is it the port of the service without?)",
        ),
    ] {
        let outcome = ask(kind, script, options).await;
        assert!(outcome.text.ends_with(words), "{outcome:?}");
        assert_eq!((outcome.verdict, outcome.soft_fail), (Verdict::Fail, None));
    }
}

#[test]
fn options_are_judged() {
    let none: [&str; 0] = [];
    for (kind, options, wrong) in [
        ("smtp", json!({}), &["hostname"][..]),
        ("smtp", json!({"hostname": "a", "username": "b"}), &["password"]),
        ("imap", json!({"hostname": "a", "password": "b"}), &["username"]),
        (
            "smtp",
            json!({"hostname": "a", "tls": false, "username": "b", "password": "c"}),
            &["password"],
        ),
        (
            "submit",
            json!({"hostname": "a", "selfsigned": true, "username": "b", "password": "c"}),
            &["password"],
        ),
        ("submit", json!({"hostname": "a", "tls": true}), &["tls"]),
        ("imap", json!({"hostname": "a", "starttls": 1, "timeout": 0}), &["starttls", "timeout"]),
        ("imap", json!({"hostname": "a", "username": "", "password": ""}), &none),
        ("smtp", json!({"hostname": "a", "port": 587, "username": "b", "password": "c"}), &none),
    ] {
        assert_eq!(faults(kind, options.clone()), wrong, "{kind} {options}");
    }
}
