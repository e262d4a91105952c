//! A serial line with a UPS at its end, used by one check at a time.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use fletchck_shared::Outcome;
use parking_lot::Mutex;
use serialport::{ErrorKind, SerialPort};
use tokio::{sync::Mutex as Queue, task::spawn_blocking};

use super::voltronic::{self, Status};

/// Speed of the line.
const BAUD: u32 = 2400;

/// Longest wait for a piece of an answer.
const PIECE: Duration = Duration::from_millis(500);

/// Longest wait for an answer: a status takes a fifth of a second on the line.
const ANSWER: Duration = Duration::from_secs(2);

/// Longest answer, in bytes.
const BYTES: usize = 256;

/// One queue for each port: two checks that talk at once would read each other's answers.
static PORTS: LazyLock<Mutex<HashMap<String, Arc<Queue<()>>>>> = LazyLock::new(Mutex::default);

/// A line to a UPS, and what was said on it.
pub(crate) struct Line {
    port: Box<dyn SerialPort>,
    conversation: Vec<String>,
}

/// Does something on a line, alone and where it holds up nobody; waits until whoever is on it has ended.
pub(crate) async fn on_line(
    path: &str,
    work: impl FnOnce(&mut Line) -> Result<Outcome, String> + Send + 'static,
) -> Outcome {
    let queue = PORTS.lock().entry(path.to_owned()).or_default().clone();
    let turn = queue.lock_owned().await;
    let path = path.to_owned();
    let worked = spawn_blocking(move || {
        // Whoever waits for this may have given up; the line is free once this has ended, and not before.
        let _turn = turn;
        let mut line = Line::open(&path).map_err(|wrong| (wrong, Vec::new()))?;
        match work(&mut line) {
            Ok(mut outcome) => {
                outcome.conversation = line.conversation;
                Ok(outcome)
            }
            Err(wrong) => Err((format!("UPS on {path}: {wrong}"), line.conversation)),
        }
    });
    match worked.await {
        Ok(Ok(outcome)) => outcome.bounded(),
        Ok(Err((text, conversation))) => {
            let mut outcome = Outcome::fail(text.clone()).log([text]);
            outcome.conversation = conversation;
            outcome.bounded()
        }
        Err(_) => Outcome::fail("the line was not asked: fletchck is stopping"),
    }
}

impl Line {
    fn open(path: &str) -> Result<Self, String> {
        let port = serialport::new(path, BAUD).timeout(PIECE).open();
        let port = port.map_err(|error| match error.kind() {
            ErrorKind::Io(io::ErrorKind::NotFound) => {
                format!("there is no serial port {path}: is the cable in place?")
            }
            ErrorKind::NoDevice => {
                format!("another program uses {path}, or no device is behind it")
            }
            ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
                format!("this program may not open {path}: add its user to the group `dialout`")
            }
            _ => format!("cannot open {path}: {error}"),
        })?;
        Ok(Self { port, conversation: Vec::new() })
    }

    /// Sends a command that has no answer.
    pub(crate) fn tell(&mut self, command: &str) -> Result<(), String> {
        self.conversation.push(format!("> {command}"));
        // What came too late for the last question is no answer to this one.
        self.port
            .clear(serialport::ClearBuffer::Input)
            .map_err(|error| format!("the line broke: {error}"))?;
        let line = format!("{command}\r");
        let sent = self.port.write_all(line.as_bytes()).and_then(|()| self.port.flush());
        sent.map_err(|error| format!("the line broke: {error}"))
    }

    /// The status of the UPS.
    pub(crate) fn status(&mut self) -> Result<Status, String> {
        self.tell("QS")?;
        let answer = self.answer()?;
        if answer.trim() == "QS" {
            return Err("it does not know the question QS: it speaks another protocol".into());
        }
        let unknown = || format!("expected a status, it said `{}`", answer.escape_default());
        voltronic::status(&answer).ok_or_else(unknown)
    }

    fn answer(&mut self) -> Result<String, String> {
        let (began, mut answer) = (Instant::now(), Vec::new());
        loop {
            let left = ANSWER.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(if answer.is_empty() {
                    format!("it did not answer within {} s", ANSWER.as_secs())
                } else {
                    format!("its answer broke off: `{}`", answer.escape_ascii())
                });
            }
            let limited = self.port.set_timeout(PIECE.min(left));
            limited.map_err(|error| format!("the line broke: {error}"))?;
            let mut piece = [0; 64];
            match self.port.read(&mut piece) {
                Ok(0) => return Err("the line was cut".into()),
                Ok(some) => answer.extend_from_slice(&piece[..some]),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("the line broke: {error}")),
            }
            if let Some(end) = answer.iter().position(|byte| *byte == b'\r') {
                let line = String::from_utf8_lossy(&answer[..end]).into_owned();
                self.conversation.push(format!("< {}", line.escape_default()));
                return Ok(line);
            }
            if answer.len() > BYTES {
                return Err(format!("it said more than {BYTES} bytes without an end"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::{Verdict, outcome::LINE_BYTES};
    use serde_json::json;

    use super::*;
    use crate::checks::{
        testing::{look, probe},
        ups::testing::Ups,
    };

    const GOOD: &[u8] = b"(230.0 230.0 230.0 010 50.0 13.7 --.- 00001001";

    /// What is on the line, a byte a second or at once; and what is said of it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_line_that_answers_badly_fails_in_time() {
        let endless = vec![b'8'; 1_000_000];
        let garbage: Vec<u8> = (0..=255).cycle().skip(128).take(200).collect();
        let cases: [(&str, Option<Duration>, &[u8], &str); 5] = [
            ("silent", None, b"", "it did not answer within 2 s"),
            ("cut", None, &GOOD[..12], "its answer broke off: `(230.0 230.0`"),
            ("a byte a second", Some(Duration::from_secs(1)), GOOD, "its answer broke off: `("),
            ("endless", None, &endless, "it said more than 256 bytes without an end"),
            ("garbage", None, &garbage, "expected a status, it said `\\u{fffd}"),
        ];
        let mut looks = Vec::new();
        for (what, pause, says, words) in cases {
            for kind in ["ups", "upstest"] {
                let says = says.to_vec();
                let ups = Ups::paced(pause, move |_| says.clone());
                looks.push(async move {
                    // All of it, for without its other end the line is gone.
                    let ups = ups;
                    // The best of three, for a machine that does much else; the limit itself is never later.
                    let mut best = Duration::MAX;
                    for _ in 0..3 {
                        let began = Instant::now();
                        let outcome = look(&*probe(kind, json!({"serialPort": ups.path}))).await;
                        best = best.min(began.elapsed());
                        let told = format!("{kind}, {what}, {best:?}: {outcome:?}");
                        assert!(outcome.text.contains(words), "{told}");
                        assert!(outcome.verdict == Verdict::Fail, "{told}");
                        assert!(outcome.text.len() <= LINE_BYTES, "{told}");
                        if best < ANSWER + Duration::from_millis(100) {
                            return;
                        }
                    }
                    panic!("{kind}, {what}: {best:?}");
                });
            }
        }
        futures_util::future::join_all(looks).await;
    }
}
