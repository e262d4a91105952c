//! Servers that reply badly, or not at all.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use fletchck_shared::Verdict;
use fletchck_tests::fault::{self, Blackhole};
use fletchck_tests::scripted::Scripted;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::answers::{
    bad::{LIMIT, look},
    memory::{ONE, taken},
};

/// An address of the name that the questions here are about.
const ADDRESS: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x0a";

/// A server over UDP that sends these back for each question, until dropped.
struct Udp {
    port: u16,
    task: JoinHandle<()>,
}

impl Udp {
    async fn start(replies: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Result<Self> {
        Ok(Self::on(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?, replies)?)
    }

    fn on(
        socket: UdpSocket,
        replies: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> std::io::Result<Self> {
        let port = socket.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut heard = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut heard).await {
                for reply in replies(&heard[..length]) {
                    // Whoever has heard enough hears no more.
                    socket.send_to(&reply, from).await.ok();
                }
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A reply to a question, with as many answers.
fn reply(question: &[u8], number: u16, answers: &[u8]) -> Vec<u8> {
    let mut reply = question.to_vec();
    reply[2] |= 0x80;
    reply[6..8].copy_from_slice(&number.to_be_bytes());
    reply.extend(answers);
    reply
}

/// With this byte of it changed.
fn changed(mut reply: Vec<u8>, place: usize, by: u8) -> Vec<u8> {
    reply[place] ^= by;
    reply
}

fn options(port: u16, more: Value) -> Value {
    let mut options = json!({
        "hostname": "127.0.0.1", "port": port, "timeout": LIMIT,
        "reqName": "www.test.example", "reqType": "A",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        options[key] = value.clone();
    }
    options
}

async fn fails(what: &str, options: &Value, words: &str) -> Result<()> {
    let seen = look("dns", options).await?;
    println!("{what:20} {}", seen.text);
    ensure!(seen.verdict == Verdict::Fail && seen.text.contains(words), "{what}: {seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_reply_over_udp_fails_in_time() -> Result<()> {
    type Replies = fn(&[u8]) -> Vec<Vec<u8>>;
    let cases: &[(&str, Replies, &str)] = &[
        (
            "garbage",
            |_| vec![vec![0x5a; 300]],
            "the last one is no message of the DNS, or a broken one",
        ),
        ("nothing", |_| vec![Vec::new()], "the last one is no message of the DNS, or a broken one"),
        (
            "echo",
            |question| vec![question.to_vec()],
            "the last one is the question itself, sent back",
        ),
        (
            "other number",
            |question| vec![changed(reply(question, 1, ADDRESS), 1, 1)],
            "the last one has another number than the question",
        ),
        (
            "other question",
            |question| vec![changed(reply(question, 1, ADDRESS), 13, 1)],
            "the last one answers another question, `vww.test.example A`",
        ),
        (
            "other type",
            |question| vec![changed(reply(question, 0, b""), question.len() - 3, 0x10)],
            "the last one answers another question, `www.test.example RP`",
        ),
        ("half", |question| vec![reply(question, 1, &ADDRESS[..9])], "or a broken one"),
        ("too few", |question| vec![reply(question, 9, ADDRESS)], "or a broken one"),
        (
            "flood",
            |question| vec![question.to_vec(); 200],
            ": it sent 100 messages that are no reply",
        ),
        (
            "cut off",
            |question| vec![changed(reply(question, 1, &ADDRESS[..9]), 2, 2)],
            "its answer over UDP was cut off, because it is too long, and over TCP cannot connect to",
        ),
        ("silence", |_| Vec::new(), "did not answer within 1 s: nothing came back over UDP"),
    ];
    for (what, replies, words) in cases {
        let server = Udp::start(replies).await?;
        fails(what, &options(server.port, json!({})), words).await?;
    }
    let nobody = options(fault::refused(), json!({}));
    fails("refused", &nobody, ": connection refused (nothing listens there)").await?;
    let unknown = options(53, json!({"hostname": "no-such-host.invalid"}));
    fails("unknown", &unknown, "there is no host named no-such-host.invalid").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_reply_over_tcp_fails_in_time() -> Result<()> {
    /// What comes back in place of the reply: this much of it, and what is done then.
    type Replies = fn(&[u8]) -> (Vec<u8>, Then);
    let cases: &[(&str, Replies, &str)] = &[
        (
            "hang up",
            |_| (Vec::new(), Then::HangUp),
            "it closed the connection before its answer was complete",
        ),
        (
            "half a length",
            |_| (vec![0], Then::HangUp),
            "it closed the connection before its answer was complete",
        ),
        (
            "cut",
            |question| (framed(&reply(question, 1, ADDRESS))[..32].to_vec(), Then::HangUp),
            "before its answer was complete, after 30 of 50 bytes",
        ),
        (
            "silence",
            |_| (Vec::new(), Then::Wait),
            "did not answer within 1 s: it was connected and asked over TCP, and its answer did not begin",
        ),
        (
            "trickle",
            |question| (framed(&reply(question, 1, ADDRESS))[..20].to_vec(), Then::Trickle),
            "its answer did not come to its end",
        ),
        (
            "nothing",
            |_| (vec![0, 0], Then::Wait),
            "it sent something that is no message of the DNS",
        ),
        (
            "garbage",
            |_| (framed(&[0x5a; 999]), Then::Wait),
            "it sent something that is no message of the DNS",
        ),
        (
            "echo",
            |question| (framed(question), Then::Wait),
            "it sent something that is the question itself",
        ),
        (
            "other number",
            |question| (framed(&changed(reply(question, 1, ADDRESS), 0, 1)), Then::Wait),
            "has another number",
        ),
        (
            "other question",
            |question| (framed(&changed(reply(question, 1, ADDRESS), 13, 1)), Then::Wait),
            "answers another question",
        ),
        (
            "cut off",
            |question| (framed(&changed(reply(question, 0, b""), 2, 2)), Then::Wait),
            "its answer over TCP is marked as cut off",
        ),
        (
            "endless",
            |question| (framed(&full(question, u16::MAX)), Then::Endless),
            "it sent something that is no message of the DNS",
        ),
    ];
    for (what, replies, words) in cases {
        let server = tcp(replies).await?;
        fails(what, &options(server.port, json!({"reqTcp": true})), words).await?;
    }
    // What comes after a good reply is not waited for.
    let server = tcp(|question| (framed(&reply(question, 1, ADDRESS)), Then::Endless)).await?;
    let seen = look("dns", &options(server.port, json!({"reqTcp": true}))).await?;
    ensure!(seen.verdict == Verdict::Pass, "{seen:?}");

    let blackhole = Blackhole::open().await?;
    let vanishes = options(blackhole.port, json!({"reqTcp": true}));
    fails("blackhole", &vanishes, "did not answer within 1 s: no connection was taken").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_cut_off_over_udp_and_silent_over_tcp_is_told_as_that() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let _udp = Udp::on(socket, |question| vec![changed(reply(question, 0, b""), 2, 2)])?;
    let words = "its answer over UDP was cut off, because it is too long, and over TCP it did not answer in time";
    fails("silent over TCP", &options(port, json!({})), words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_replies_take_less_than_a_megabyte_each() -> Result<()> {
    type Replies = fn(&[u8]) -> Vec<u8>;
    let small = tcp(|question| (framed(&reply(question, 1, ADDRESS)), Then::HangUp)).await?;
    // Thousands of long names and of addresses, each written in a few bytes, and one very long text.
    for (kind, replies) in
        [("NS", long_names as Replies), ("A", |question| full(question, 4090)), ("TXT", long_text)]
    {
        let large = tcp(move |question| (framed(&replies(question)), Then::HangUp)).await?;
        let to = |server: &Scripted| {
            let more =
                json!({"reqTcp": true, "timeout": 10, "reqType": kind, "matches": "^[a1]b$"});
            options(server.port, more)
        };
        let most = taken("dns", &to(&small), &to(&large)).await?;
        ensure!(most < ONE, "an answer of type {kind} takes {most} bytes");
    }
    Ok(())
}

/// What a server does once it has sent what it had to.
#[derive(Clone, Copy)]
enum Then {
    HangUp,
    Wait,
    /// Goes on, a byte a second.
    Trickle,
    /// Goes on for 100 MB.
    Endless,
}

/// A server over TCP that reads a question, and sends this.
async fn tcp(
    replies: impl Fn(&[u8]) -> (Vec<u8>, Then) + Copy + Send + Sync + 'static,
) -> Result<Scripted> {
    Scripted::serve(move |mut stream| async move {
        let length = stream.read_u16().await?;
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await?;
        let (bytes, then) = replies(&question);
        stream.write_all(&bytes).await?;
        go_on(stream, then).await
    })
    .await
}

async fn go_on(mut stream: TcpStream, then: Then) -> Result<()> {
    match then {
        Then::HangUp => Ok(stream.shutdown().await?),
        Then::Wait => std::future::pending().await,
        Then::Trickle => loop {
            sleep(Duration::from_secs(1)).await;
            stream.write_all(&[0]).await?;
        },
        Then::Endless => {
            for _ in 0..100 {
                stream.write_all(&[0; 1_000_000]).await?;
            }
            Ok(())
        }
    }
}

/// A message behind its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a message is short enough");
    [&length.to_be_bytes()[..], message].concat()
}

/// As many addresses as there is room for, each another, and a number of them that may be a lie.
fn full(question: &[u8], number: u16) -> Vec<u8> {
    let mut answers = Vec::new();
    for nth in 0..4090_u16 {
        answers.extend(&ADDRESS[..14]);
        answers.extend(nth.to_be_bytes());
    }
    reply(question, number, &answers)
}

/// Thousands of names of 250 bytes, all but one written as a few letters before a place in the message.
fn long_names(question: &[u8]) -> Vec<u8> {
    let mut long = Vec::new();
    for length in [63, 63, 63, 50] {
        long.push(length);
        long.extend(vec![b'a'; length.into()]);
    }
    long.push(0);
    let place = question.len() + 12;
    let mut answers = b"\xc0\x0c\0\x02\0\x01\0\0\0\x3c".to_vec();
    answers.extend(u16::try_from(long.len()).expect("it is short").to_be_bytes());
    answers.extend(long);
    let mut number = 1;
    while answers.len() < 65_000 {
        answers.extend(b"\xc0\x0c\0\x02\0\x01\0\0\0\x3c\0\x06");
        answers.extend([
            3,
            b'a' + (number / 676 % 26) as u8,
            b'a' + (number / 26 % 26) as u8,
            b'a' + (number % 26) as u8,
        ]);
        answers.extend(((0xc000 + place) as u16).to_be_bytes());
        number += 1;
    }
    reply(question, number, &answers)
}

/// A text of 64 KiB whose every byte needs four to be shown.
fn long_text(question: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < 65_000 {
        text.push(255);
        text.extend([1; 255]);
    }
    let mut answer = b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c".to_vec();
    answer.extend(u16::try_from(text.len()).expect("it is short enough").to_be_bytes());
    answer.extend(text);
    reply(question, 1, &answer)
}
