//! What mail servers answer, read without trusting them: replies of SMTP (RFC 5321 section 4.2) and responses of IMAP
//! (RFC 9051 section 7).

use std::fmt;

use crate::checks::net::told;

/// Most lines of one reply.
const MOST: usize = 128;

/// A reply of an SMTP server, as far as it has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The code of its last line.
    pub(crate) code: u16,
    /// What stands behind the code, line by line.
    pub(crate) lines: Vec<String>,
}

/// Why a line is no part of a reply.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoReply {
    /// It has no code.
    #[error("what it says is no SMTP: `{0}`")]
    NoCode(String),
    /// The reply does not end.
    #[error("its answer has more than {MOST} lines")]
    Endless,
}

impl Reply {
    /// Adds a line, and says whether it was the last.
    pub(crate) fn add(&mut self, line: &str) -> Result<bool, NoReply> {
        let (code, more, text) = parts(line).ok_or_else(|| NoReply::NoCode(told(line)))?;
        if self.lines.len() == MOST {
            return Err(NoReply::Endless);
        }
        self.code = code;
        self.lines.push(text.trim().into());
        Ok(!more)
    }

    /// What a server can do, as it answers EHLO with it: each keyword with its parameters, all in capital letters.
    pub(crate) fn features(&self) -> Vec<Vec<String>> {
        let words = |line: &String| {
            // Some old servers write `AUTH=LOGIN`.
            let words = line.split(|c: char| c == '=' || c.is_ascii_whitespace());
            words.filter(|word| !word.is_empty()).map(str::to_ascii_uppercase).collect()
        };
        self.lines.iter().skip(1).map(words).collect()
    }
}

/// The code and the first line, shortened.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, told(self.lines.first().map_or("", String::as_str)))
    }
}

/// The code of a line, whether others follow, and its text.
fn parts(line: &str) -> Option<(u16, bool, &str)> {
    let digits = line.get(..3).filter(|code| code.bytes().all(|digit| digit.is_ascii_digit()))?;
    let code = digits.parse().ok().filter(|code| (200..600).contains(code))?;
    match line.as_bytes().get(3) {
        None => Some((code, false, "")),
        Some(b' ') => Some((code, false, &line[4..])),
        Some(b'-') => Some((code, true, &line[4..])),
        Some(_) => None,
    }
}

/// A line of an IMAP server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Response<'a> {
    /// `* OK ready`: what comes unasked, its name as it was written.
    Untagged(&'a str, &'a str),
    /// `a1 OK done`: the end of the command with this tag, and whether it is done.
    Tagged(&'a str, Status, &'a str),
    /// `+ go on`: it waits for the rest of a command.
    More(&'a str),
}

/// How a command of IMAP ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Done.
    Ok,
    /// Refused.
    No,
    /// Not understood.
    Bad,
}

impl Status {
    /// Its word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Ok, Self::No, Self::Bad]
            .into_iter()
            .find(|one| one.word().eq_ignore_ascii_case(word))
    }
}

impl<'a> Response<'a> {
    /// Reads a line. `None` for one that is none of IMAP, or the inside of a literal.
    pub(crate) fn read(line: &'a str) -> Option<Self> {
        let (tag, rest) = split(line);
        let (name, text) = split(rest);
        match tag {
            "+" => Some(Self::More(rest)),
            "*" => (!name.is_empty()).then_some(Self::Untagged(name, text)),
            "" => None,
            tag => Some(Self::Tagged(tag, Status::of(name)?, text)),
        }
    }
}

fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(lines: &[&str]) -> Result<(bool, Reply), NoReply> {
        let mut reply = Reply::default();
        let mut done = false;
        for line in lines {
            done = reply.add(line)?;
        }
        Ok((done, reply))
    }

    #[test]
    fn a_reply_ends_with_the_first_line_that_says_so() {
        let (done, hello) =
            reply(&["250-mx greets you", "250-auth PLAIN Login", "250-AUTH=NTLM", "250 STARTTLS"])
                .expect("a reply");
        assert!(done);
        assert_eq!(hello.to_string(), "250 mx greets you");
        let features = [vec!["AUTH", "PLAIN", "LOGIN"], vec!["AUTH", "NTLM"], vec!["STARTTLS"]];
        assert_eq!(hello.features(), features);
        let (done, cut) = reply(&["220-not yet"]).expect("a reply");
        assert!(!done && cut.code == 220);
        let (done, bare) = reply(&["250"]).expect("a reply");
        assert!(done && bare.lines == [""]);
        // The last line counts, whatever the others said.
        assert_eq!(reply(&["220-welcome", "554 no"]).expect("a reply").1.code, 554);
    }

    #[test]
    fn what_is_no_reply_is_told() {
        for line in
            ["", "25", "+OK ready", "SSH-2.0-x", "199 a", "600 a", "250_a", "25é a", "２５０ a"]
        {
            assert_eq!(reply(&[line]), Err(NoReply::NoCode(line.into())), "{line}");
        }
        assert_eq!(reply(&["250-a"; MOST + 1]), Err(NoReply::Endless));
    }

    #[test]
    fn responses_are_told_apart() {
        for (line, response) in [
            (
                "* OK [CAPABILITY IMAP4rev1] ready",
                Response::Untagged("OK", "[CAPABILITY IMAP4rev1] ready"),
            ),
            ("* 3 EXISTS", Response::Untagged("3", "EXISTS")),
            ("* BYE", Response::Untagged("BYE", "")),
            ("a1 ok  done", Response::Tagged("a1", Status::Ok, "done")),
            ("a2 NO", Response::Tagged("a2", Status::No, "")),
            ("+ ", Response::More("")),
            ("+", Response::More("")),
        ] {
            assert_eq!(Response::read(line), Some(response), "{line}");
        }
        for line in ["", " ", "*", "* ", "220 ESMTP", "a1", "a1 MAYBE so", "HTTP/1.1 400 Bad"] {
            assert_eq!(Response::read(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(
            lines in prop::collection::vec("\\PC{0,40}|[0-9]{3}[ -]\\PC{0,9}|[*+a1 ]{1,4}(OK|no|[0-9])?.{0,9}", 0..12)
        ) {
            let mut reply = Reply::default();
            for line in &lines {
                Response::read(line);
                if reply.add(line).is_ok() {
                    prop_assert!((200..600).contains(&reply.code));
                }
                prop_assert!(reply.lines.len() <= MOST);
            }
            prop_assert!(reply.to_string().chars().count() <= 130);
            prop_assert_eq!(reply.features().len(), reply.lines.len().saturating_sub(1));
        }
    }
}
