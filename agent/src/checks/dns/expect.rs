//! What the answers are expected to be.

use std::fmt;

use hickory_resolver::proto::rr::RecordType;
use regex::{Regex, RegexBuilder};

use super::{rdata::Rdata, reply::Reply, types};
use crate::checks::{Opt, Options, Shape, content::TABLES, net::told};

/// The option `expect`.
pub(super) const EXPECT: Opt = Opt::new(
    "expect",
    Shape::Texts,
    "any",
    "answers that are right, each as a zone file has it: `192.0.2.10`, `10 mx1.example.org`, `v=spf1 -all`",
);

/// The option `expectRule`.
pub(super) const EXPECT_RULE: Opt = Opt::choice(
    "expectRule",
    RULES,
    "exactly",
    "`exactly`: all of them come and no others; `at-least`: all come, and others may; `at-most`: no others come, and some may be missing",
);

/// The option `matches`.
pub(super) const MATCHES: Opt = Opt::text(
    "matches",
    "none",
    "regular expression that must be found in one of the answers, as in `include:_spf[.]example[.]org`",
);

/// The option `absent`.
pub(super) const ABSENT: Opt = Opt::flag(
    "absent",
    "false",
    "whether there must be no such record, as on a list of blocked addresses",
);

const RULES: &[&str] = &["exactly", "at-least", "at-most"];

/// Length from which on a list of answers in a sentence takes no more of them, in bytes.
const LISTED: usize = 120;

/// What the answers are expected to be.
#[derive(Debug, Default)]
pub(super) struct Expect {
    wanted: Vec<Wanted>,
    rule: Rule,
    matches: Option<Regex>,
    absent: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rule {
    #[default]
    Exactly,
    AtLeast,
    AtMost,
}

/// One answer that is right.
#[derive(Debug)]
struct Wanted {
    /// As its owner wrote it.
    text: String,
    is: Is,
}

#[derive(Debug)]
enum Is {
    Record(Rdata),
    /// A text, in however many parts it comes.
    Joined(Vec<u8>),
}

impl Expect {
    /// Reads `expect`, `expectRule`, `matches` and `absent`, for answers of this type.
    pub(super) fn read(options: &mut Options<'_>, kind: Option<RecordType>) -> Self {
        let rule = match options.choice("expectRule", RULES) {
            Some("at-least") => Rule::AtLeast,
            Some("at-most") => Rule::AtMost,
            _ => Rule::Exactly,
        };
        let mut wanted = Vec::new();
        for text in options.texts("expect").unwrap_or_default() {
            let text = text.trim();
            // Without a type there is a fault already.
            let Some(kind) = kind.filter(|_| !text.is_empty()) else { continue };
            match Is::parse(kind, text) {
                Some(is) => wanted.push(Wanted { text: text.to_owned(), is }),
                None => {
                    let wrong = format!("{:?} is no {} record", told(text), types::name(kind));
                    options.fault("expect", wrong, example(kind));
                }
            }
        }
        if rule != Rule::Exactly && wanted.is_empty() {
            let right = "give the answers that are right as `expect`";
            options.warning("expectRule", "there is nothing to compare with", right);
        }
        let matches = pattern(options);
        let absent = options.flag("absent", false);
        if absent && (!wanted.is_empty() || matches.is_some()) {
            let right = "either `absent`, or `expect` and `matches`";
            options.fault("absent", "answers are expected too", right);
        }
        Self { wanted, rule, matches, absent }
    }

    /// Whether there must be no answer at all.
    pub(super) fn absence(&self) -> bool {
        self.absent
    }

    /// Judges answers.
    ///
    /// # Errors
    /// What was expected and not seen, as a clause.
    pub(super) fn judge(&self, reply: &Reply) -> Result<&'static str, String> {
        if self.absent {
            return Err("expected no such record".into());
        }
        if self.wanted.is_empty() && self.matches.is_none() {
            return Ok("");
        }
        if reply.more > 0 {
            let all = reply.answers.len() + reply.more;
            return Err(format!("{all} answers, too many to compare"));
        }
        if !self.right(&reply.answers) {
            return Err(format!("expected {self}"));
        }
        if let Some(pattern) = &self.matches
            && !reply.answers.iter().any(|answer| found(pattern, answer))
        {
            return Err(format!("expected one to match `{}`", told(pattern.as_str())));
        }
        Ok(", as expected")
    }

    fn right(&self, answers: &[Rdata]) -> bool {
        let all_came = || self.wanted.iter().all(|one| answers.iter().any(|a| one.is.same(a)));
        let no_other = || answers.iter().all(|a| self.wanted.iter().any(|one| one.is.same(a)));
        match self.rule {
            _ if self.wanted.is_empty() => true,
            Rule::Exactly => all_came() && no_other(),
            Rule::AtLeast => all_came(),
            Rule::AtMost => no_other(),
        }
    }
}

/// What is expected, in words.
impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = listed(self.wanted.iter().map(|wanted| wanted.text.clone()));
        match self.rule {
            Rule::Exactly => write!(f, "{listed} and no other"),
            Rule::AtLeast => write!(f, "{listed} among them"),
            Rule::AtMost => write!(f, "none but {listed}"),
        }
    }
}

impl Is {
    fn parse(kind: RecordType, text: &str) -> Option<Self> {
        let texts = types::shapes(kind) == [types::Shape::Texts];
        if texts && !text.starts_with('"') && !text.starts_with("\\#") {
            return Some(Self::Joined(text.as_bytes().to_vec()));
        }
        let record = Rdata::parse(kind, text)?;
        Some(match record.texts().as_deref() {
            Some([one]) if texts => Self::Joined(one.to_vec()),
            _ => Self::Record(record),
        })
    }

    fn same(&self, answer: &Rdata) -> bool {
        match self {
            Self::Record(record) => record == answer,
            Self::Joined(text) => answer.texts().is_some_and(|texts| texts.concat() == *text),
        }
    }
}

/// Things in a row as far as a sentence has room for them, and how many more there are.
pub(super) fn listed(things: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = String::new();
    let mut more = things.len();
    for thing in things {
        if text.len() >= LISTED {
            text.push_str(&format!(" and {more} more"));
            break;
        }
        let comma = if text.is_empty() { "" } else { ", " };
        let short = told(&thing);
        let cut = if short.len() < thing.len() { "…" } else { "" };
        text.push_str(&format!("{comma}{short}{cut}"));
        more -= 1;
    }
    text
}

/// Whether a pattern is in an answer: as it is shown, without the dots at the end of names, or in texts when joined.
fn found(pattern: &Regex, answer: &Rdata) -> bool {
    let joined = |texts: Vec<&[u8]>| pattern.is_match(&String::from_utf8_lossy(&texts.concat()));
    pattern.is_match(&answer.to_string())
        || pattern.is_match(&answer.undotted())
        || answer.texts().is_some_and(joined)
}

fn pattern(options: &mut Options<'_>) -> Option<Regex> {
    let text = options.any_text("matches").filter(|text| !text.is_empty())?;
    let pattern = RegexBuilder::new(text).dfa_size_limit(TABLES).build();
    if pattern.is_err() {
        let right = "one in the syntax of Rust, RE2 or Go, without look-around";
        options.fault("matches", "it is no regular expression", right);
    }
    pattern.ok()
}

/// How a record of this type is written.
fn example(kind: RecordType) -> String {
    let example = match &*types::name(kind) {
        "A" => "192.0.2.10",
        "AAAA" => "2001:db8::10",
        "NS" | "CNAME" | "PTR" | "DNAME" => "host.example.org",
        "MX" => "10 mail.example.org",
        "SOA" => "ns1.example.org hostmaster.example.org 2024010101 3600 600 86400 60",
        "SRV" => "0 5 5060 sip.example.org",
        "CAA" => "0 issue \"letsencrypt.org\"",
        "TXT" | "SPF" => "\"v=spf1 \" \"-all\"",
        "DS" | "CDS" => "60485 13 2 D4B7D5…",
        "TLSA" | "SMIMEA" => "3 1 1 0C72AC…",
        "HTTPS" | "SVCB" => "1 . alpn=\"h2,h3\"",
        _ => return "as `check NAME --explain` shows it".into(),
    };
    format!("as in `{example}`")
}

#[cfg(test)]
mod tests;
