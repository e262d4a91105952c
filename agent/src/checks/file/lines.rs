//! Lines of a log, judged as they are read.

use regex::Regex;

/// Longest line that is judged, in bytes: what is beyond belongs to it and is not looked at.
pub(super) const LINE_MAX: usize = 64 * 1024;

/// Longest line that is shown, in bytes.
const SHOWN_MAX: usize = 200;

/// Which lines fail and which pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    /// Lines that are left out.
    pub(super) ignore: Option<Regex>,
    /// Tried first; without it, every line that is not empty fails.
    pub(super) fail: Option<Regex>,
    /// Tried on the others.
    pub(super) pass: Option<Regex>,
}

/// What the lines said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) fails: u64,
    pub(super) passes: u64,
    /// Whether the last line that matched was a failure, and that line.
    pub(super) last: Option<(bool, String)>,
}

/// Takes bytes as they come and judges each line in them.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    patterns: &'a Patterns,
    tally: Tally,
    line: Vec<u8>,
    /// Bytes of the line in all, those beyond [`LINE_MAX`] included.
    length: u64,
    /// Whether the last byte was a carriage return, whose newline belongs to it.
    returned: bool,
    /// Whether this line has lost its beginning.
    torn: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(patterns: &'a Patterns) -> Self {
        let tally = Tally::default();
        Self { patterns, tally, line: Vec::new(), length: 0, returned: false, torn: false }
    }

    /// Begins another part of a file, after a line that may have had no end. With `torn` the first bytes are the rest of
    /// a line which is not judged.
    pub(super) fn begin(&mut self, torn: bool) {
        self.line.clear();
        (self.length, self.returned, self.torn) = (0, false, torn);
    }

    /// Takes some bytes. A line ends with a newline, a carriage return, or both, as Python reads text.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            if std::mem::take(&mut self.returned) && piece == b"\n" {
                continue;
            }
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                Some((b'\r', text)) => {
                    self.returned = true;
                    (text, true)
                }
                _ => (piece, false),
            };
            let room = LINE_MAX - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.length += text.len() as u64;
            if ended {
                self.end();
            }
        }
    }

    /// Bytes of a line that has no end yet.
    pub(super) fn open(&self) -> u64 {
        self.length
    }

    /// Ends a line.
    pub(super) fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.length = 0;
        if !std::mem::take(&mut self.torn) {
            self.tally.judge(&line, self.patterns);
        }
        // The space is used again.
        self.line = line;
        self.line.clear();
    }

    /// What was said in all.
    pub(super) fn tally(self) -> Tally {
        self.tally
    }
}

impl Tally {
    fn judge(&mut self, line: &[u8], patterns: &Patterns) {
        self.lines += 1;
        let text = String::from_utf8_lossy(line);
        // What Python strips: white space, and four separators that Unicode does not count as such.
        let text = text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c));
        let matches = |pattern: &Option<Regex>| pattern.as_ref().map(|regex| regex.is_match(text));
        if text.is_empty() || matches(&patterns.ignore) == Some(true) {
            return;
        }
        let fails = matches(&patterns.fail).unwrap_or(true);
        if fails {
            self.fails += 1;
        } else if matches(&patterns.pass) == Some(true) {
            self.passes += 1;
        } else {
            return;
        }
        let mut shown = text[..text.floor_char_boundary(SHOWN_MAX)].replace(char::is_control, " ");
        if text.len() > SHOWN_MAX {
            shown.push('…');
        }
        self.last = Some((fails, shown));
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn patterns() -> Patterns {
        let regex = |text| Some(Regex::new(text).expect("a pattern"));
        Patterns { ignore: regex("harmless"), fail: regex("ERROR"), pass: regex("OK|ERROR") }
    }

    fn read(chunks: &[&[u8]]) -> Tally {
        let patterns = patterns();
        let mut lines = Lines::new(&patterns);
        chunks.iter().for_each(|chunk| lines.feed(chunk));
        if lines.open() > 0 {
            lines.end();
        }
        lines.tally()
    }

    #[test]
    fn fail_is_tried_before_pass_and_the_last_match_counts() {
        let seen = read(&[b"ERROR a\nnothing\r\n  OK b\rERROR harmless\n\n"]);
        assert_eq!((seen.lines, seen.fails, seen.passes), (5, 1, 1));
        assert_eq!(seen.last, Some((false, "OK b".into())));
        let everything = Patterns::default();
        let mut lines = Lines::new(&everything);
        lines.begin(true);
        lines.feed(b"torn\n \n\x1c\nsecond");
        assert_eq!(lines.open(), 6);
        let seen = lines.tally();
        assert_eq!((seen.lines, seen.fails), (2, 0), "empty lines do not fail");
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_bytes_of_any_kind_are_read() {
        let patterns = patterns();
        let mut lines = Lines::new(&patterns);
        lines.feed(b"ERROR ");
        for _ in 0..1000 {
            lines.feed(&[b'x'; 4096]);
        }
        assert!(lines.line.capacity() <= 2 * LINE_MAX);
        lines.feed(b"\n\xff\xfe OK \x00\n");
        let seen = lines.tally();
        assert_eq!((seen.lines, seen.fails, seen.passes), (2, 1, 1));
    }

    proptest! {
        #[test]
        fn where_bytes_are_parted_does_not_matter(
            bytes in proptest::collection::vec(proptest::sample::select(&b"EROK\r\n \xff"[..]), 0..200),
            edge in 0_usize..200,
        ) {
            let (one, two) = bytes.split_at(edge.min(bytes.len()));
            prop_assert_eq!(read(&[one, two]), read(&[&bytes]));
        }
    }
}
