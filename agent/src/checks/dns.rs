//! `dns`: a name server that answers a question, rightly if one says what is right.

mod codes;
mod exchange;
mod expect;
mod name;
mod params;
pub(super) mod properties;
mod question;
mod rdata;
mod reply;
mod servers;
#[cfg(test)]
mod tests;
mod text;
mod types;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::{Outcome, outcome::LINE_BYTES};
use hickory_resolver::proto::rr::RecordType;
use tokio::time::{Instant, timeout_at};

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    net::{self, GRACE, Steps},
    python,
};
use exchange::{Asking, NoAnswer};
use expect::Expect;
use question::Question;
use rdata::Rdata;
use reply::Reply;
use servers::Servers;

/// The entry of `dns` in the table.
pub const KIND: Kind = Kind {
    name: "dns",
    summary: "a name server and what it answers",
    options: &[
        servers::HOSTNAME,
        Opt::port("53"),
        net::timeout("5"),
        net::IP_VERSION,
        question::REQ_NAME,
        question::REQ_TYPE,
        Opt::flag("reqTcp", "false", "whether it is asked over TCP, and not over UDP first"),
        expect::EXPECT,
        expect::EXPECT_RULE,
        expect::MATCHES,
        expect::ABSENT,
        Opt::flag("dnssec", "false", "whether the server must have validated the answer (DNSSEC)"),
    ],
    answers: Answers {
        proves: "The server answers the question with at least one record of that type; with `expect` or `matches`, with the \
                 right ones; with `dnssec`, that it says to have validated them. What `expect` has is compared as the DNS \
                 does it: order, capitals in names, dots at their end and the way an address is written make no difference. \
                 A text (`TXT`) is compared as a whole, in however many parts it comes; several parts in quotes, as in \
                 `\"v=spf1 \" \"-all\"`, must come in these parts.",
        leaves_open: "What other name servers answer: one is asked, and one that resolves for others may answer from memory. \
                      Make one check for each server of a zone, and compare the serials of `SOA` in their logs. That an \
                      answer is validated is the server's word: it is worth as much as the way to it.",
        failure: "The sentence tells apart a name that does not exist (NXDOMAIN), one without such a record, a server that \
                  fails (SERVFAIL) or refuses (REFUSED), one that is silent, whose answer is cut off or no answer at all, \
                  and answers that are not those expected, with what came instead.",
        matters: "`hostname`: without one, the name servers of this machine are asked in their order, each for its share of \
                  the timeout, until one answers. `expect` with `expectRule`; `absent` for lists of blocked addresses; \
                  `reqTcp`, because firewalls often forget that the DNS needs TCP.",
    },
    example: r#"{"type": "dns", "trigger": {"interval": {"minutes": 5}}, "options": {"hostname": "ns1.example.org", "reqName": "example.org", "reqType": "MX", "expect": ["10 mx1.example.org", "20 mx2.example.org"]}}"#,
    build,
};

#[derive(Debug)]
struct Dns {
    servers: Servers,
    question: Question,
    tcp: bool,
    dnssec: bool,
    expect: Expect,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(Dns::read(options)?)))
}

#[async_trait]
impl Probe for Dns {
    async fn look(&self, _: &Look<'_>) -> Outcome {
        let mut steps = Steps::default();
        let outcome = self.ask(&mut steps).await;
        steps.complete(outcome)
    }

    fn limit(&self) -> Duration {
        self.servers.timeout() + GRACE
    }
}

impl Dns {
    fn read(options: &mut Options<'_>) -> Option<Self> {
        let servers = Servers::read(options, 5);
        let question = Question::read(options);
        let expect = Expect::read(options, question.as_ref().map(|question| question.kind));
        let tcp = options.flag("reqTcp", false);
        let dnssec = options.flag("dnssec", false);
        Some(Self { servers: servers?, question: question?, tcp, dnssec, expect })
    }

    async fn ask(&self, steps: &mut Steps) -> Outcome {
        let until = Instant::now() + self.servers.timeout();
        match timeout_at(until, self.servers.addresses(steps)).await {
            Ok(Ok(servers)) if servers.is_empty() => {
                self.fails("this machine has no name server of that version of IP")
            }
            Ok(Ok(servers)) => self.ask_each(&servers, until, steps).await,
            Ok(Err(error)) => self.fails(&error.to_string()),
            Err(_) => self.late("the name servers did not answer"),
        }
    }

    /// Asks one server after the other until one answers, each for its share of the time that is left.
    async fn ask_each(&self, servers: &[SocketAddr], until: Instant, steps: &mut Steps) -> Outcome {
        let asking = Asking { question: &self.question, dnssec: self.dnssec, tcp: self.tcp };
        let mut failed: Vec<(SocketAddr, NoAnswer)> = Vec::new();
        for (nth, server) in servers.iter().enumerate() {
            let left = until - Instant::now();
            let share = left / u32::try_from(servers.len() - nth).unwrap_or(u32::MAX);
            match exchange::ask(*server, asking, Instant::now() + share, steps).await {
                Ok(reply) => return self.judge(&reply, &failed),
                Err(error) => {
                    steps.note(format!("* {server}: {error}"));
                    failed.push((*server, error));
                }
            }
        }
        match &*failed {
            [(_, NoAnswer::Late(waited))] => self.late(waited),
            [(_, error)] => self.fails(&error.to_string()),
            several => self.fails(&each(several)),
        }
    }

    fn judge(&self, reply: &Reply, failed: &[(SocketAddr, NoAnswer)]) -> Outcome {
        let (service, question) = (self.servers.service(), &self.question);
        let before = if failed.is_empty() { String::new() } else { format!(" ({})", each(failed)) };
        if self.dnssec && !reply.authentic {
            let why = match reply.authoritative {
                true => {
                    "it serves the zone itself and never says so: ask one that resolves for others and validates"
                }
                false => "the zone is not signed, or it does not validate",
            };
            let text = format!("its answer about {question} is not authenticated (DNSSEC): {why}");
            return self.fails(&text);
        }
        let authentic = if self.dnssec { ", authenticated" } else { "" };
        if reply.answers.is_empty() {
            let none = self.none(reply);
            if !self.expect.absence() || reply.refers {
                return self.fails(&none);
            }
            let text = format!("{service}: {none}, as expected{authentic}{before}");
            return Outcome::pass(text.clone()).log([text]);
        }
        let log = self.logged(reply);
        let answers = expect::listed(reply.answers.iter().map(Rdata::line));
        let alias = match &reply.alias {
            Some(alias) => format!(" (an alias of {})", name::told(alias)),
            None => String::new(),
        };
        // The third of its parts tells whether servers have the same zone.
        let serial = match reply.answers[0].number(2) {
            Some(serial) if question.kind == RecordType::SOA => format!("serial {serial}, "),
            _ => String::new(),
        };
        let seen = format!("{service} answered {question}{alias}: {serial}{answers}");
        match self.expect.judge(reply) {
            Ok(well) => Outcome::pass(format!("{seen}{well}{authentic}{before}")).log([log]),
            Err(wrong) => {
                let line = format!("{}: {wrong}", self.servers.host());
                Outcome::fail(format!("{seen}; {wrong}{before}")).log([log, line])
            }
        }
    }

    /// That there is no answer, as a clause.
    fn none(&self, reply: &Reply) -> String {
        let (question, kind) = (&self.question, types::name(self.question.kind));
        let subject = question.subject();
        if reply.code == codes::NXDOMAIN {
            return match &reply.alias {
                Some(alias) => format!(
                    "{subject} is an alias of {}, and there is no such name (NXDOMAIN)",
                    name::told(alias)
                ),
                None => format!("there is no name {subject} (NXDOMAIN)"),
            };
        }
        match &reply.alias {
            _ if reply.refers => format!(
                "it does not know {subject} itself, and only says which servers might: ask those, or one that resolves for others"
            ),
            Some(alias) => format!(
                "{subject} is an alias of {}, for which there is no {kind} record in its answer",
                name::told(alias)
            ),
            None => format!("{subject} has no {kind} record"),
        }
    }

    /// The answers in the line that the original logs them in.
    fn logged(&self, reply: &Reply) -> String {
        let mut answers = String::new();
        for (nth, answer) in reply.answers.iter().enumerate() {
            // What is cut off in the end need not be written.
            if answers.len() > LINE_BYTES {
                break;
            }
            if nth > 0 {
                answers.push(' ');
            }
            answers.push_str(&answer.line());
        }
        let name = python::text(&name::shown(&self.question.name));
        let kind = python::text(&types::name(self.question.kind));
        format!("({name}, {kind}, {})", python::text(&answers))
    }

    fn fails(&self, clause: &str) -> Outcome {
        Outcome::fail(format!("{}: {clause}", self.servers.service()))
            .log([format!("{}: {clause}", self.servers.host())])
    }

    fn late(&self, waited: &str) -> Outcome {
        let seconds = self.servers.timeout().as_secs_f64();
        let text =
            format!("{} did not answer within {seconds} s: {waited}", self.servers.service());
        Outcome::fail(text.clone()).log([format!("{}: {text}", self.servers.host())])
    }
}

/// What came of each of several servers.
fn each(failed: &[(SocketAddr, NoAnswer)]) -> String {
    let told = |(server, error): &(SocketAddr, NoAnswer)| match error {
        // It names the server itself.
        NoAnswer::Connect(error) => error.to_string(),
        error => format!("{server}: {error}"),
    };
    failed.iter().map(told).collect::<Vec<_>>().join("; ")
}
