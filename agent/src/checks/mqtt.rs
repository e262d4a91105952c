//! `mqtt`: a topic that carries a message which is young enough.

mod memory;
mod session;
mod stamp;
mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{Outcome, Secret, config::Protocol, topic::Topic};
use tokio::time::{Instant, timeout_at};

use self::{
    memory::Memory,
    session::{Entry, Said, Session, Stream},
    watch::{Demand, Judged, Watch},
};
use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe, Shape,
    content::JSON_IS,
    net::{
        self, Certificate, GRACE, IdentityFiles, NetError, Offer, Reach, Steps, Talk, TalkError,
        Target, Tls, converse,
    },
    quantity::time_words,
};
use crate::link::packet::Hello;
pub(super) use stamp::time as message_time;

/// The entry of `mqtt` in the table.
pub const KIND: Kind = Kind {
    name: "mqtt",
    summary: "a topic of an MQTT broker that must carry a message which is young enough, and what is in it",
    options: &[
        net::HOSTNAME,
        Opt::port("1883, or 8883 with tls"),
        net::timeout("10 more than `age`, at most 70"),
        net::IP_VERSION,
        Opt::text("topic", "required", "the topic, without wildcards"),
        Opt::text(
            "age",
            "required",
            "oldest that its newest message may be, as in `10 min`; a number is seconds",
        ),
        Opt::text("warnAge", "none", "age over which a pass is a warning, where the age is known"),
        Opt::text(
            "timestampPath",
            "none",
            "JSONPath of the time in the payload: seconds or milliseconds since 1970, or ISO 8601; `$` for a payload \
             that is a time alone",
        ),
        Opt::text(
            "expiry",
            "none",
            "expiry that the publisher gives its messages (MQTT 5): what is gone of it is the age of a retained one",
        ),
        Opt::new("contains", Shape::Texts, "none", "texts that must all be in the payload"),
        Opt::new("lacks", Shape::Texts, "none", "texts that must not be in the payload"),
        Opt::text("matches", "none", "regular expression that the payload must match"),
        Opt::text("jsonPath", "none", "JSONPath (RFC 9535) of a value that must be in the payload"),
        JSON_IS,
        Opt::text("username", "none", "user to log in as"),
        Opt::secret("password", "password of the user"),
        Opt::flag("tls", "false", "whether the port speaks TLS"),
        net::SELFSIGNED,
        net::CAFILE,
        net::SERVER_NAME,
        net::DAYS,
        net::WARN_DAYS,
        net::CLIENT_CERT,
        net::CLIENT_KEY,
        Opt::choice(
            "protocol",
            PROTOCOLS,
            "any",
            "version of MQTT; with `any` it is 5, and 3.1.1 where the broker knows no better",
        ),
        Opt::text("clientId", "a random one", "client id, of no other client of this broker"),
    ],
    answers: Answers {
        proves: "The broker lets this user in and hear the topic, and the newest message on it is no older than `age` and has \
                 what is expected. A message that comes while the check listens is new. A retained one is never taken for \
                 new because it arrives: its age comes from `timestampPath`, from `expiry`, or from an earlier look that \
                 still saw another message.",
        leaves_open: "Whether others hear the message too. A retained message that says nothing of its age passes with a \
                      warning when it is first seen, for as long as `age`; it fails after that unless another one was \
                      seen, or one came while the check listened. A publisher that repeats one payload is seen only while \
                      the check listens.",
        failure: "The sentence says how old the newest message is and how that is known, that none came, or what is wrong with \
                  its payload; or it names the step that failed: no connection, a certificate that is not good, a login or \
                  a topic that is refused. The level is the age, or the number at `jsonPath`.",
        matters: "`timestampPath` wherever the payload has a time: each look then knows. Without one the check listens for a \
                  new message, as long as `age` and a minute at most: let `timeout` be longer than the publisher's interval. \
                  Messages of more than 72 KiB are not read, only their arrival counts; for `jsonPath` the limits of `https` hold. Each look is one short session, which \
                  leaves nothing at the broker.",
    },
    example: r#"{"type": "mqtt", "trigger": {"interval": {"minutes": 5}}, "options": {"hostname": "broker.example.org", "tls": true, "username": "watch", "password": "secret", "topic": "house/boiler/state", "age": "10 min", "timestampPath": "$.time", "jsonPath": "$.pressure", "jsonIs": ">= 1.2"}}"#,
    build,
};

const PROTOCOLS: &[&str] = &["any", "5", "3.1.1"];

/// Longest that is listened by default, in seconds, and how much longer than that a look may take.
const LISTEN: u64 = 60;
const MORE: u64 = 10;

/// What is left of the timeout to say goodbye in.
const MARGIN: Duration = Duration::from_millis(40);

/// Silence after which the broker is told that the check is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

struct Mqtt {
    reach: Reach,
    tls: Option<Tls>,
    topic: String,
    demand: Demand,
    username: Option<String>,
    password: Option<Secret>,
    client_id: Option<String>,
    protocol: Option<Protocol>,
    /// Whether the broker was last found to speak the older version alone.
    old: AtomicBool,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let encrypted = options.flag("tls", false);
    let demand = Demand::read(options);
    let target = Target::read(options, "hostname");
    let port = options.port("port").unwrap_or(if encrypted { 8883 } else { 1883 });
    let listen = demand.as_ref().map_or(LISTEN, |demand| demand.age.as_secs().min(LISTEN));
    let reach = Reach::of(options, target, port, (listen + MORE) as u32);
    let topic = topic(options);
    let mut tls = Tls::read(options);
    if let Some(identity) = IdentityFiles::read(options) {
        tls = tls.offering(Offer::new(&[], Some(identity)));
    }
    let given = |text: &&str| !text.is_empty();
    let username = options.text("username").filter(given).map(str::to_owned);
    let password = options.text("password").filter(given).map(Secret::new);
    if username.is_none() && password.is_some() {
        options.fault("username", "it is missing", "the user whose `password` it is");
    }
    if password.is_some() && !encrypted {
        options.warning(
            "tls",
            "without it the login can be read on its way",
            "`tls`, or a network that nobody else is on",
        );
    }
    let client_id = options.text("clientId").filter(given).map(str::to_owned);
    let protocol = match options.choice("protocol", PROTOCOLS) {
        Some("5") => Some(Protocol::V5),
        Some("3.1.1") => Some(Protocol::V311),
        _ => None,
    };
    Some(Plan::Probe(Arc::new(Mqtt {
        reach: reach?,
        tls: encrypted.then_some(tls),
        topic: topic?,
        demand: demand?,
        username,
        password,
        client_id,
        protocol,
        old: AtomicBool::new(false),
    })))
}

fn topic(options: &mut Options<'_>) -> Option<String> {
    let text = options.required_text("topic")?;
    // What brokers say of themselves begins with `$SYS`, and can be heard by anybody.
    let below = text.strip_prefix('$').unwrap_or(text);
    let wrong = match Topic::try_from(below) {
        Ok(_) if text.starts_with("$share/") => {
            "it is a subscription shared with others, who would miss what this check hears"
                .to_owned()
        }
        Ok(_) => return Some(text.into()),
        Err(error) => error.to_string(),
    };
    options.fault("topic", wrong, "one topic, as in `house/boiler/state`; a check for each");
    None
}

#[async_trait]
impl Probe for Mqtt {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Mqtt {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        format!("MQTT at {}", self.reach.place())
    }

    fn waited(&self, step: &str) -> String {
        match step {
            "login" => {
                "it was connected, and CONNECT was not answered (does the port speak MQTT, or TLS?)"
                    .into()
            }
            _ => "it let this user in, and SUBSCRIBE was not answered".into(),
        }
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        let began = Instant::now();
        let now = || look.now + TimeDelta::from_std(began.elapsed()).unwrap_or_default();
        if let Some(password) = &self.password {
            steps.hide(password.reveal());
        }
        let (mut session, certificate) = self.enter(look, steps).await?;
        session.subscribe(&self.topic, steps).await?;
        let memory = Memory::kept(&self.reach.place(), &self.topic, look);
        let mut watch = Watch::new(&self.demand, memory, look.zone, now());
        let deadline = began + self.reach.timeout.saturating_sub(MARGIN);
        let judged = self.listen(&mut session, &mut watch, &now, deadline, steps).await?;
        session.leave(steps).await;
        let outcome = self.outcome(judged, certificate.as_ref(), look);
        Ok(outcome.keep(watch.memory.keep()))
    }
}

impl Mqtt {
    /// A session, in the newest version of MQTT that both know; the steps `dns`, `connect`, `tls` and `login`.
    async fn enter(
        &self,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<(Session, Option<Certificate>), TalkError> {
        let random = format!("fletchck{:012x}", rand::random::<u64>() >> 16);
        let hello = Hello {
            client_id: self.client_id.as_deref().unwrap_or(&random),
            username: self.username.as_deref(),
            password: self.password.as_ref(),
            keep_alive: KEEP_ALIVE,
            clean: true,
            expiry: None,
            will: None,
        };
        let (first, second) = match self.protocol {
            Some(protocol) => (protocol, None),
            None if self.old.load(Ordering::Relaxed) => (Protocol::V311, Some(Protocol::V5)),
            None => (Protocol::V5, Some(Protocol::V311)),
        };
        let (stream, certificate) = self.dial(look, steps).await?;
        let foreign = match Session::open(stream, first, &hello, steps).await {
            Ok(session) => return Ok((session, certificate)),
            Err(Entry::Refused(error)) => return Err(error),
            Err(Entry::Foreign(words)) => words,
        };
        steps.note(format!("* {foreign}"));
        let Some(second) = second else { return Err(TalkError::Wrong(foreign)) };
        let (stream, certificate) = self.dial(look, steps).await?;
        match Session::open(stream, second, &hello, steps).await {
            Ok(session) => {
                self.old.store(second == Protocol::V311, Ordering::Relaxed);
                Ok((session, certificate))
            }
            Err(Entry::Refused(error)) => Err(error),
            Err(Entry::Foreign(_)) => Err(TalkError::Wrong(foreign)),
        }
    }

    async fn dial(
        &self,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<(Box<dyn Stream>, Option<Certificate>), TalkError> {
        let stream = self.reach.connect(steps).await?;
        let Some(tls) = &self.tls else { return Ok((Box::new(stream), None)) };
        let (stream, certificate) =
            tls.handshake(stream, &self.reach.target, look, steps).await.map_err(NetError::from)?;
        Ok((Box::new(stream), Some(certificate)))
    }

    /// Listens until the matter is settled; the step `message` from the broker's consent on.
    async fn listen(
        &self,
        session: &mut Session,
        watch: &mut Watch<'_>,
        now: &(dyn Fn() -> DateTime<Utc> + Send + Sync),
        deadline: Instant,
        steps: &mut Steps,
    ) -> Result<Judged, TalkError> {
        let mut until = None;
        let mut ping = Instant::now() + session.keep_alive / 2;
        loop {
            let end = until.unwrap_or(deadline).min(deadline);
            if Instant::now() >= end {
                break;
            }
            let said = timeout_at(end.min(ping), session.next(&self.topic, steps)).await;
            match said {
                Ok(said) => match said? {
                    Said::Granted => {
                        steps.begin("message");
                        watch.granted(now());
                        until = Some(Instant::now() + watch.patience());
                    }
                    Said::Message(message) => {
                        if let Some(judged) = watch.hear(&message, now()) {
                            return Ok(judged);
                        }
                    }
                    Said::Other => {}
                },
                Err(_) if Instant::now() >= ping => {
                    session.ping().await?;
                    ping = Instant::now() + session.keep_alive / 2;
                }
                Err(_) => {}
            }
        }
        if until.is_none() {
            let late = self.reach.timeout.as_secs_f64();
            return Err(TalkError::Wrong(format!(
                "it let this user in, and did not answer SUBSCRIBE within {late} s"
            )));
        }
        Ok(watch.end(now()))
    }

    fn outcome(
        &self,
        judged: Judged,
        certificate: Option<&Certificate>,
        look: &Look<'_>,
    ) -> Outcome {
        /// What helps where nothing says how old a message is.
        const HINT: &str = "Where the payload has a time, give `timestampPath`; else let `timeout` be longer than the \
                            publisher's interval.";
        let at = format!("{} at {}", self.topic, self.reach.place());
        match judged {
            Judged::Good(good) => {
                let mut text = format!("{at}: {}", good.words);
                for clause in &good.met.clauses {
                    text.push_str(", ");
                    text.push_str(clause);
                }
                let mut warns = good.warning;
                if let Some(certificate) = certificate {
                    let valid = certificate.validity(look.now, look.zone);
                    text.push_str(&format!(", certificate {valid}"));
                    warns |= self.tls.as_ref().is_some_and(|tls| tls.warns(certificate, look));
                }
                let level = good.met.number.unwrap_or_else(|| time_words(good.age));
                Outcome::pass(text.clone()).log([text]).level(level).warning(warns)
            }
            Judged::Doubtful(words) => {
                let text = format!("{at}: {words}");
                Outcome::pass(text.clone()).log([text, HINT.into()]).warning(true)
            }
            Judged::Bad(words, age) => {
                let text = format!("{at}: {words}");
                let outcome = Outcome::fail(text.clone()).log([text]);
                age.map(time_words).into_iter().fold(outcome, Outcome::level)
            }
        }
    }
}

#[cfg(test)]
mod tests;
