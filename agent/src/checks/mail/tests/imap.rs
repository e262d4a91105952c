use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, time::Instant};

use super::{Script, protected, user};
use crate::checks::{
    mail::{imap, wire::Wire},
    net::{Steps, TalkError},
};

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
