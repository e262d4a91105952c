//! What must hold of lines of a log and of the patterns for them. See [`crate::checks::properties`].

use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use super::{
    KIND,
    lines::{Lines, Patterns, Tally},
    pattern,
};
use crate::checks::{Options, properties::fit};

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let regex = |text| Regex::new(text).ok();
    Patterns { ignore: regex("harmless"), fail: regex("ERROR|fail"), pass: regex("OK|ERROR") }
});

/// What a log has grown by. The first byte says how long the pieces are that the rest comes in.
pub fn log_lines(bytes: &[u8]) {
    let Some((piece, log)) = bytes.split_first() else { return };
    let whole = tally(log, log.len());
    assert_eq!(whole, tally(log, (*piece).into()));
    let ends = log.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    assert!(whole.lines <= ends + 1 && whole.fails + whole.passes <= whole.lines);
    if let Some((_, line)) = whole.last {
        assert!(line.len() <= 204);
        fit(&line);
    }
}

/// A pattern, and a line on a line of its own.
pub fn log_pattern(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default());
    let (pattern, line) = (part(), part());
    let options = json!({ "failpattern": pattern });
    let options = options.as_object().expect("made so");
    let read = |options: &mut Options<'_>| pattern::read(options, "failpattern");
    let (regex, faults) = Options::read(options, KIND.options, read);
    let plain = pattern.chars().all(|c| c.is_alphanumeric() || c == ' ');
    match regex {
        // A pattern of plain letters is what it says.
        Some(regex) if plain => assert_eq!(regex.is_match(&line), line.contains(&*pattern)),
        Some(regex) => _ = regex.is_match(&line),
        None => assert!(pattern.is_empty() || !faults.is_empty(), "{pattern} is lost"),
    }
}

fn tally(log: &[u8], piece: usize) -> Tally {
    let mut lines = Lines::new(&PATTERNS);
    log.chunks(piece.max(1)).for_each(|piece| lines.feed(piece));
    if lines.open() > 0 {
        lines.end();
    }
    lines.tally()
}
