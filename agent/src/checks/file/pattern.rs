//! Regular expressions as the original's owners wrote them, which is as Python reads them.

use regex::{Regex, RegexBuilder};

use super::super::Options;

/// Largest memory of one compiled expression, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// Reads a pattern, if there is one that is not empty.
pub(super) fn read(options: &mut Options<'_>, name: &'static str) -> Option<Regex> {
    let text = options.text(name).filter(|text| !text.is_empty())?;
    match RegexBuilder::new(&translated(text)).size_limit(SIZE_MAX).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let (wrong, right) = words(text, &error);
            options.fault(name, wrong, right);
            None
        }
    }
}

/// What is wrong with an expression, and what would be right.
fn words(text: &str, error: &regex::Error) -> (String, &'static str) {
    let said = error.to_string();
    let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
    if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| text.contains(look)) {
        let right = "one expression for what must be there; what must not be there goes into `ignorePattern`, \
                     and lines that match it are left out";
        return ("look-ahead and look-behind are not understood".into(), right);
    }
    if said.contains("backreferences") || text.contains("(?P=") {
        let right = "an expression that needs no part of its own match again";
        return ("references to an earlier group are not understood".into(), right);
    }
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return (
            "it is too large when it is compiled".into(),
            "one with fewer or smaller repetitions",
        );
    }
    (
        format!("it is no regular expression: {said}"),
        "a regular expression; put `\\` before a character that is meant as it is",
    )
}

/// An expression with the same meaning for the regex crate, where Python reads it otherwise: `{` that begins no
/// repetition, `[` within a class, `\Z`, and `\<`.
fn translated(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Whether within a class, and whether at its first character, where `]` stands for itself.
    let (mut class, mut first) = (false, false);
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let at_first = std::mem::take(&mut first);
        match c {
            '\\' => {
                let Some(escaped) = after.chars().next() else {
                    out.push(c);
                    break;
                };
                match escaped {
                    'Z' if !class => out.push_str("\\z"),
                    '<' | '>' => out.push(escaped),
                    _ => out.extend([c, escaped]),
                }
                rest = &after[escaped.len_utf8()..];
                continue;
            }
            '[' if !class => {
                (class, first) = (true, true);
                out.push(c);
            }
            '^' if class && at_first && out.ends_with('[') => {
                first = true;
                out.push(c);
            }
            ']' if class && !at_first => {
                class = false;
                out.push(c);
            }
            '[' | ']' | '&' | '~' if class => out.extend(['\\', c]),
            '{' if !class => match repetition(after) {
                Some(_) if after.starts_with(',') => out.push_str("{0"),
                Some(_) => out.push(c),
                None => out.push_str("\\{"),
            },
            _ => out.push(c),
        }
        rest = after;
    }
    out
}

/// What is between the braces of a repetition: `3`, `3,`, `,3` or `3,5`.
fn repetition(after: &str) -> Option<&str> {
    let inside = &after[..after.find('}')?];
    let digits = inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    let one = inside.matches(',').count() <= 1 && inside.bytes().any(|byte| byte.is_ascii_digit());
    (digits && one).then_some(inside)
}

#[cfg(test)]
mod tests {
    use proptest::proptest;
    use serde_json::json;

    use super::*;
    use crate::checks::testing;

    #[test]
    fn an_expression_means_what_it_means_in_python() {
        for (python, matching, other) in [
            (r#"{"level": "error""#, r#"x {"level": "error"}"#, "level"),
            ("a{2}b{1,2}c{,2}d", "aabbd", "abd"),
            ("a{x}", "a{x}", "ax"),
            ("[[]warn[]]", "[warn]", "warn"),
            ("[^]]x", "ax", "]x"),
            ("[a&&b]", "&", "c"),
            (r"end\Z", "the end", "ends"),
            (r"\<html\>", "<html>", "html"),
            (r"(?P<what>fail|err)\b", "an err", "error"),
            (r"(?i)error\.", "ERROR.", "errors"),
        ] {
            let regex = Regex::new(&translated(python)).expect(python);
            assert!(regex.is_match(matching), "{python}: {}", translated(python));
            assert!(!regex.is_match(other), "{python}: {}", translated(python));
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_what_to_do() {
        for pattern in ["(?!a)b", "(?<=a)b", r"(a)\1", "(", r"(\w{500}){500}"] {
            let options = json!({"filename": "/a", "failpattern": pattern});
            assert_eq!(testing::faults("file", options), ["failpattern"], "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_translated(text in ".*", braces in r"[\[\]{}\\^,0-9a&~]*") {
            translated(&text);
            translated(&braces);
        }
    }
}
