//! `ping`: a machine that answers echo requests.

mod echo;
mod socket;
mod tally;
mod trouble;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::{
    echo::{Echo, Icmp},
    socket::{Heard, OpenError, Socket},
    tally::{Demand, ROUND_TRIP, Tally},
};
use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    limit::{Limit, WARN, WARN_ALERTS},
    net::{self, GRACE, Reach, Steps},
};

/// The entry of `ping` in the table.
pub const KIND: Kind = Kind {
    name: "ping",
    summary: "a machine that answers echo requests (ICMP), and how long that takes",
    options: &[
        net::HOSTNAME,
        net::timeout("5"),
        net::IP_VERSION,
        Opt::number("count", "3", "echo requests that are sent, 100 at most"),
        Opt::seconds("spacing", "0.2", "seconds from one request to the next"),
        Opt::number("size", "56", "bytes that each carries and that must come back as they are"),
        Opt::number("loss", "0", "percent of the requests that may stay unanswered"),
        Opt::number("level", "none", "limit of the round trip on average, ms"),
        Opt::number(
            "hysteresis",
            "0",
            "a failing check passes once it is this far below the level, ms",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "The name leads to an address, packets find their way there and back, and what they carry comes back as it \
                 was sent; with `level`, that this takes no longer on average.",
        leaves_open: "Whether any service works there: a machine may answer though its programs hang. And one that does not \
                      answer may be well, for many firewalls drop echo requests.",
        failure: "The sentence says how many of the requests were answered, and what a router or this machine said of the \
                  others, where one did: no route, nobody there, forbidden, running in circles. It waits no longer than is \
                  needed for a verdict. The level is the average round trip. Where fletchck may not ping, it names the \
                  two ways to allow it.",
        matters: "`loss` and `count`, where some loss is usual, as by radio: 20 requests and a loss of 20. `size`: 1472 fills a \
                  packet of Ethernet. A name with several addresses is asked at the first that there is a route to: \
                  choose with `ipVersion`.",
    },
    example: r#"{"type": "ping", "trigger": {"interval": {"minutes": 1}}, "options": {"hostname": "gate.example.org", "count": 5, "loss": 20, "level": 80, "warn": 40}}"#,
    build,
};

/// Most requests of one look.
const COUNT: f64 = 100.0;

/// Most that an echo can carry over IPv4, in bytes.
const SIZE: f64 = 65_507.0;

struct Ping {
    reach: Reach,
    demand: Demand,
    spacing: Duration,
    size: usize,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let target = net::Target::read(options, "hostname");
    let reach = Reach::of(options, target, 0, 5);
    let count = options.number("count", 1.0..=COUNT, "requests").unwrap_or(3.0) as u16;
    let spacing = options.number("spacing", 0.001..=60.0, "seconds").unwrap_or(0.2);
    let size = options.number("size", 0.0..=SIZE, "bytes").unwrap_or(56.0) as usize;
    let loss = options.number("loss", 0.0..=99.0, "percent").unwrap_or(0.0);
    let limit = Limit::read(options, &ROUND_TRIP, None, 0.0);
    let (reach, spacing) = (reach?, Duration::from_secs_f64(spacing));
    let all = spacing * u32::from(count - 1);
    if all >= reach.timeout {
        let wrong = format!(
            "its requests take {} s to be sent, and the timeout is {} s",
            all.as_secs_f64(),
            reach.timeout.as_secs_f64()
        );
        options.fault("count", wrong, "fewer of them, a smaller `spacing` or a longer `timeout`");
    }
    Some(Plan::Probe(Arc::new(Ping {
        reach,
        demand: Demand { count, loss, limit },
        spacing,
        size,
    })))
}

#[async_trait]
impl Probe for Ping {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let mut steps = Steps::default();
        let deadline = Instant::now() + self.reach.timeout;
        let outcome = match timeout_at(deadline, self.reach.addresses(&mut steps)).await {
            Ok(Ok(addresses)) => self.ping(&addresses, deadline, look, &mut steps).await,
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => {
                let limit = self.reach.timeout.as_secs_f64();
                self.failed(&format!("the name servers did not answer within {limit} s"))
            }
        };
        steps.complete(outcome)
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

impl Ping {
    /// Sends the requests and judges the answers; the step `echo`.
    async fn ping(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Outcome {
        steps.begin("echo");
        let socket = match open(addresses) {
            Ok(socket) => socket,
            Err(error @ OpenError::NotAllowed) => {
                return self.failed(&error.to_string()).soft_fail("permission");
            }
            Err(error) => return self.failed(&error.to_string()),
        };
        steps.note(format!("* {} with the id {:#06x}", socket.words(), socket.id));
        // Random, so that an answer to somebody else is not taken for ours.
        let token: [u8; 16] = rand::random();
        let payload: Vec<u8> = token.iter().copied().cycle().take(self.size).collect();
        let mut buffer = vec![0; socket.room(self.size)];
        let mut sent: Vec<(SystemTime, Instant)> = Vec::new();
        let (mut tally, mut next) = (Tally::default(), Instant::now());
        while !tally.settled(self.demand) {
            tokio::select! {
                () = sleep_until(next), if tally.sent() < self.demand.count => {
                    // What is late is not made up for: a burst would lose answers that nobody had time to read.
                    next = Instant::now() + self.spacing;
                    let seq = tally.sent();
                    let request =
                        socket.icmp().request(Echo { id: socket.id, seq, payload: &payload });
                    tally.send();
                    sent.push((SystemTime::now(), Instant::now()));
                    steps.sent(&format!("echo request {} with {} bytes", seq + 1, self.size));
                    if let Err(trouble) = socket.send(&request) {
                        steps.note(format!("* {trouble}"));
                        tally.failed(Some(seq), trouble);
                    }
                }
                heard = socket.hear(&mut buffer) => match heard {
                    Ok(Heard::Packet { start, end, at }) => {
                        let reply = socket.icmp().reply(&buffer[start..end]);
                        let ours = reply.filter(|reply| reply.id == socket.id);
                        let Some(reply) = ours else { continue };
                        if reply.payload != payload {
                            steps.got(&format!("echo reply {} with other bytes", reply.seq));
                            continue;
                        }
                        let Some(began) = sent.get(usize::from(reply.seq)) else { continue };
                        let took = took(*began, at);
                        if tally.answered(reply.seq, took) {
                            let ms = took.as_secs_f64() * 1000.0;
                            steps.got(&format!("echo reply {} after {ms:.3} ms", reply.seq + 1));
                        }
                    }
                    Ok(Heard::Trouble(seq, trouble)) => {
                        steps.got(&trouble.to_string());
                        tally.failed(seq, trouble);
                    }
                    Err(error) => return self.failed(&format!("the socket broke: {error}")),
                },
                () = sleep_until(deadline) => break,
            }
        }
        let host = self.reach.target.to_string();
        tally.judge(&host, self.demand, self.reach.timeout, look.before)
    }

    fn failed(&self, why: &str) -> Outcome {
        let text = format!("{}: {why}", self.reach.target);
        Outcome::fail(text.clone()).log([text])
    }
}

/// Reads what may be an answer, in every form.
pub(super) fn parse(bytes: &[u8]) {
    for icmp in [Icmp::Four, Icmp::Six] {
        _ = icmp.reply(bytes);
        _ = icmp.returned(bytes);
    }
    _ = echo::inside(bytes);
}

/// A socket for the first address that there is a route to.
fn open(addresses: &[SocketAddr]) -> Result<Socket, OpenError> {
    let mut failed = None;
    for address in addresses {
        match Socket::open(*address) {
            Ok(socket) => return Ok(socket),
            Err(error @ OpenError::NotAllowed) => return Err(error),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.expect("there is an address, or the lookup had failed"))
}

/// How long an answer took that the system had at `at`. Where a clock was set meanwhile, it is as long as it took to be
/// read here.
fn took((sent, began): (SystemTime, Instant), at: Option<SystemTime>) -> Duration {
    let read = began.elapsed();
    let had = at.and_then(|at| at.duration_since(sent).ok());
    had.filter(|had| *had <= read).unwrap_or(read)
}

#[cfg(test)]
mod tests;
