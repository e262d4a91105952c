use fletchck_shared::Outcome;

use super::{Script, protected, user};
use crate::checks::{
    mail::{imap, smtp, wire::Wire},
    net::{Steps, TalkError},
};

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
