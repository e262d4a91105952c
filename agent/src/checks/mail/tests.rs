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

use super::{imap, login::Login, smtp, wire::Wire};
use crate::checks::{
    net::{Steps, TalkError},
    testing::{faults, look, probe},
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
    let mut options = json!({"hostname": "127.0.0.1", "port": port, "timeout": 0.5});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    let probe = probe(kind, options);
    let began = Instant::now();
    let mut outcome = look(&*probe).await;
    assert!(began.elapsed() < probe.limit());
    outcome.text = outcome.text.replace(&port.to_string(), "PORT");
    outcome
}

async fn plain(script: Script) -> Outcome {
    ask("smtp", script, json!({"tls": false})).await
}

const HELLO: (&str, &str) =
    ("EHLO [127.0.0.1]\r\n", "250-fake\r\n250-STARTTLS\r\n250 8BITMIME\r\n");

#[tokio::test]
async fn a_server_without_tls_is_logged_as_the_original_does() {
    let outcome = plain(&[
        ("", "220-busy\r\n220 but here\r\n"),
        HELLO,
        ("NOOP\r\n", "250 ok\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ])
    .await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(outcome.text, "SMTP at 127.0.0.1:PORT answered");
    let log = [r"(250, b'fake\nSTARTTLS\n8BITMIME')", "(250, b'ok')", "(221, b'bye')"];
    assert_eq!(outcome.log, log);
    assert!(!outcome.warning && outcome.level.is_none());
    let phases: Vec<_> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["dns", "connect", "greeting", "hello", "noop", "quit"]);
}

#[tokio::test]
async fn what_goes_wrong_up_to_ehlo_fails() {
    let failures: [(Script, &str); 7] = [
        (&[("", "421 busy\r\n")], "the greeting was `421 busy`, wanted 220"),
        (&[("", "SSH-2.0-x\r\n")], "what it says is no SMTP: `SSH-2.0-x`"),
        (&[("", "")], "it closed the connection before its answer was complete"),
        (
            &[("", "220 a\r\n"), ("EHLO", "550-never\r\n550 you\r\n")],
            "EHLO was answered `550 never`, wanted 250",
        ),
        (
            &[("", "220 a\r\n"), ("EHLO", "502 what?\r\n"), ("HELO", "421 enough\r\n")],
            "HELO was answered `421 enough`, wanted 250",
        ),
        (
            &[("", "220 a\r\n"), ("EHLO", "...")],
            "it greeted, and its answer to EHLO did not come to its end",
        ),
        (
            &[("", "220-a\r\n"), ("EHLO", "...")],
            "it was connected, and no greeting came to its end",
        ),
    ];
    for (script, words) in failures {
        let outcome = plain(script).await;
        assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
        assert!(
            outcome.text.starts_with("SMTP at 127.0.0.1:PORT") && outcome.text.ends_with(words)
        );
        assert_eq!(outcome.soft_fail, None);
    }
}

#[tokio::test]
async fn what_goes_wrong_after_ehlo_is_a_warning() {
    let warnings: [(Script, &str, &[&str]); 4] = [
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "")],
            "it closed the connection before its answer was complete",
            &[],
        ),
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "502 no\r\n"), ("QUIT", "221 bye\r\n")],
            "NOOP was answered `502 no`, wanted 250",
            &["(502, b'no')", "(221, b'bye')"],
        ),
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "250 ok\r\n"), ("QUIT", "\0\x7f\r\n")],
            "what it says is no SMTP: `\0\x7f`",
            &["(250, b'ok')"],
        ),
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "...")],
            "it did not answer within 0.5 s: it greeted, and its answer to NOOP did not come to its end",
            &[],
        ),
    ];
    for (script, words, lines) in warnings {
        let outcome = plain(script).await;
        assert_eq!((outcome.verdict, outcome.warning), (Verdict::Pass, true), "{outcome:?}");
        assert_eq!(outcome.text, format!("SMTP at 127.0.0.1:PORT answered, but then {words}"));
        assert_eq!(outcome.log[1..outcome.log.len() - 1], *lines);
        assert_eq!(outcome.log.last(), Some(&format!("127.0.0.1: {words}")));
    }
}

#[tokio::test]
async fn a_server_too_old_for_ehlo_is_greeted_with_helo() {
    let outcome = plain(&[
        ("", "220 a\r\n"),
        ("EHLO", "500 what?\r\n"),
        ("HELO [127.0.0.1]\r\n", "250 hello\r\n"),
        ("NOOP", "250 ok\r\n"),
        ("QUIT", "221 bye\r\n"),
    ])
    .await;
    assert!(outcome.verdict == Verdict::Pass && !outcome.warning, "{outcome:?}");
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

/// The other end of a conversation that TLS would protect.
fn protected(script: Script) -> DuplexStream {
    let (server, client) = tokio::io::duplex(4096);
    tokio::spawn(play(server, script));
    client
}

fn user(password: &str) -> Login {
    let options = json!({"username": "user", "password": password});
    let options = options.as_object().expect("options");
    let known = &[super::USERNAME, super::PASSWORD];
    let (login, faults) = crate::options::Options::read(options, known, Login::read);
    login.unwrap_or_else(|| panic!("{faults:?}"))
}

/// How a login ended, what was logged and what was said.
async fn log_in(
    protocol: &str,
    script: Script,
    password: &str,
) -> (Result<(), TalkError>, Outcome) {
    let login = user(password);
    let mut steps = Steps::default();
    login.hide(&mut steps);
    let mut wire = Wire::new(protected(script), &mut steps, Vec::new());
    let ended = match protocol {
        "smtp" => smtp::open(&mut wire, "me", false, Some(&login)).await,
        _ => imap::open(&mut wire, false, Some(&login)).await,
    };
    let text = ended.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let outcome = Outcome::fail(text).log(wire.log);
    (ended, steps.complete(outcome))
}

#[tokio::test]
async fn a_login_takes_the_way_that_is_offered() {
    let scripts: [(&str, Script); 6] = [
        (
            "smtp",
            &[
                ("", "220 a\r\n"),
                ("EHLO", "250-a\r\n250 AUTH LOGIN PLAIN\r\n"),
                ("AUTH PLAIN AHVzZXIAYSAicw==\r\n", "235 welcome\r\n"),
            ],
        ),
        (
            "smtp",
            &[
                ("", "220 a\r\n"),
                ("EHLO", "250-a\r\n250 AUTH PLAIN\r\n"),
                ("AUTH PLAIN ", "334 \r\n"),
                ("AHVzZXIAYSAicw==\r\n", "235 welcome\r\n"),
            ],
        ),
        (
            "smtp",
            &[
                ("", "220 a\r\n"),
                ("EHLO", "250-a\r\n250 auth=login\r\n"),
                ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"),
                ("dXNlcg==\r\n", "334 UGFzc3dvcmQ6\r\n"),
                ("YSAicw==\r\n", "235 welcome\r\n"),
            ],
        ),
        (
            "imap",
            &[
                ("", "* OK a\r\n"),
                ("a1 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nTAG OK b\r\n"),
                ("a2 AUTHENTICATE PLAIN AHVzZXIAYSAicw==\r\n", "TAG OK welcome\r\n"),
            ],
        ),
        (
            "imap",
            &[
                ("", "* OK a\r\n"),
                ("a1 CAPABILITY\r\n", "* capability imap4rev1 auth=plain\r\nTAG ok b\r\n"),
                ("a2 AUTHENTICATE PLAIN\r\n", "+ \r\n"),
                ("AHVzZXIAYSAicw==\r\n", "* CAPABILITY IMAP4rev1\r\na2 OK welcome\r\n"),
            ],
        ),
        (
            "imap",
            &[
                ("", "* OK a\r\n"),
                ("a1 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1\r\nTAG OK b\r\n"),
                ("a2 LOGIN \"user\" \"a \\\"s\"\r\n", "TAG OK welcome\r\n"),
            ],
        ),
    ];
    for (protocol, script) in scripts {
        let (ended, outcome) = log_in(protocol, script, "a \"s").await;
        ended.unwrap_or_else(|error| panic!("{error}: {script:?}"));
        assert!(outcome.log.last().is_some_and(|line| line.contains("b'welcome'")), "{outcome:?}");
        let said = outcome.conversation.join("\n");
        assert!(
            said.contains("****") && !said.contains("YSAicw") && !said.contains("\"s"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_not_tried_again_and_gives_nothing_away() {
    let logins: [(&str, Script, &str, bool); 7] = [
        (
            "smtp",
            &[
                ("", "220 a\r\n"),
                ("EHLO", "250-a\r\n250 AUTH PLAIN\r\n"),
                ("AUTH", "535 not sesame, AHVzZXIAc2VzYW1l\r\n"),
            ],
            "the login of `user` was refused: `535 not ****, ****`",
            true,
        ),
        (
            "smtp",
            &[
                ("", "220 a\r\n"),
                ("EHLO", "250-a\r\n250 AUTH PLAIN\r\n"),
                ("AUTH", "454 later\r\n"),
            ],
            "the login of `user` was answered `454 later`, wanted 235",
            false,
        ),
        (
            "smtp",
            &[("", "220 a\r\n"), ("EHLO", "250-a\r\n250 AUTH CRAM-MD5 NTLM\r\n")],
            "it offers no login by PLAIN or LOGIN, only by CRAM-MD5, NTLM",
            false,
        ),
        ("smtp", &[("", "220 a\r\n"), ("EHLO", "250 a\r\n")], "it offers no login (AUTH)", false),
        (
            "imap",
            &[
                ("", "* OK a\r\n"),
                ("a1", "* CAPABILITY AUTH=PLAIN SASL-IR\r\nTAG OK b\r\n"),
                ("a2", "TAG NO [AUTHENTICATIONFAILED] not sesame\r\n"),
            ],
            "the login of `user` was refused: `NO [AUTHENTICATIONFAILED] not ****`",
            true,
        ),
        (
            "imap",
            &[
                ("", "* OK a\r\n"),
                ("a1", "* CAPABILITY AUTH=PLAIN SASL-IR\r\nTAG OK b\r\n"),
                ("a2", "TAG NO [UNAVAILABLE] later\r\n"),
            ],
            "the login of `user` was answered `NO [UNAVAILABLE] later`, wanted OK",
            false,
        ),
        (
            "imap",
            &[("", "* OK a\r\n"), ("a1", "* CAPABILITY LOGINDISABLED\r\nTAG OK b\r\n")],
            "it takes no login by PLAIN or LOGIN",
            false,
        ),
    ];
    for (protocol, script, words, final_) in logins {
        let (ended, outcome) = log_in(protocol, script, "sesame").await;
        assert_eq!(outcome.text, words);
        assert_eq!(matches!(ended, Err(TalkError::Login(_))), final_, "{words}");
        let all = format!("{outcome:?}");
        assert!(!all.contains("sesame") && !all.contains("c2VzYW1l"), "{all}");
    }
}

#[tokio::test]
async fn imap_is_taken_as_it_comes_and_told_where_it_is_none() {
    async fn whole(script: Script) -> (Result<(), TalkError>, Vec<String>) {
        let mut steps = Steps::default();
        let mut wire = Wire::new(protected(script), &mut steps, Vec::new());
        let ended = match imap::open(&mut wire, false, None).await {
            Ok(()) => imap::close(&mut wire).await,
            error => error,
        };
        (ended, wire.log)
    }
    let done = ["('OK', [b'done'])", "('BYE', [b'bye'])"];
    for script in [
        &[
            ("", "* OK a\r\n"),
            ("a1 NOOP\r\n", "TAG OK done\r\n"),
            ("a2 LOGOUT\r\n", "* BYE bye\r\nTAG OK x\r\n"),
        ],
        &[
            ("", "* PREAUTH\r\n"),
            ("a1", "* 3 EXISTS\r\n{3}\r\nabc\r\nTAG OK done\r\n"),
            ("a2", "* bye bye\r\n"),
        ],
    ] as [Script; 2]
    {
        let (ended, log) = whole(script).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(log, done);
    }
    let (ended, log) =
        whole(&[("", "* OK a\r\n"), ("a1", "TAG OK b\r\n"), ("a2", "TAG OK c\r\n")]).await;
    assert!(ended.is_ok() && log[1] == "('OK', [b'c'])", "{ended:?} {log:?}");
    for (script, words) in [
        (&[("", "* BYE too many\r\n")], "the greeting was `* BYE too many`, wanted `* OK`"),
        (&[("", "220 ESMTP\r\n")], "what it says is no IMAP: `220 ESMTP`"),
        (
            &[("", "* OK a\r\n"), ("a1", "TAG BAD what?\r\n")],
            "NOOP was answered `BAD what?`, wanted OK",
        ),
        (&[("", "* OK a\r\n"), ("a1", "* BYE too slow\r\n")], "it hung up: `BYE too slow`"),
        (
            &[("", "* OK a\r\n"), ("a1", "a9 OK mine\r\n")],
            "it closed the connection before its answer was complete",
        ),
        (
            &[("", "* OK a\r\n"), ("a1", "TAG OK b\r\n"), ("a2", "TAG NO stay\r\n")],
            "LOGOUT was answered `NO stay`, wanted OK",
        ),
    ] as [(Script, &str); 6]
    {
        assert_eq!(whole(script).await.0.expect_err(words).to_string(), words);
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let (mut server, client) = tokio::io::duplex(4096);
    tokio::spawn(async move {
        // 100 MB, or until the other side has had enough.
        for _ in 0..25_000 {
            if server.write_all(&b"* 1 FETCH x\r\n".repeat(400)).await.is_err() {
                break;
            }
        }
    });
    let mut steps = Steps::default();
    let mut wire = Wire::new(client, &mut steps, Vec::new());
    let login = user("secret");
    let began = Instant::now();
    let error = tokio::select! {
        ended = imap::open(&mut wire, true, Some(&login)) => ended.expect_err("too much").to_string(),
        () = tokio::time::sleep(Duration::from_secs(10)) => "endless".into(),
    };
    assert_eq!(error, "it sent more than 256 KiB");
    assert!(began.elapsed() < Duration::from_secs(5));
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
