//! On which line of its file a value stands, and which keys stand there twice.

use std::collections::{HashMap, HashSet};

use fletchck_shared::config::Path;
use toml_edit::{Document as Toml, Item, Table};

use super::format::{Document, Format};

/// The lines of a document's values, from 1, by their paths.
pub(super) fn lines(document: &Document) -> HashMap<String, usize> {
    let text = &document.text;
    match document.format {
        Format::Json => Scan::run(text, true).lines,
        Format::Toml => {
            let mut lines = HashMap::new();
            if let Ok(parsed) = Toml::parse(text.as_str()) {
                let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
                let line = |at: usize| starts.partition_point(|start| *start < at) + 1;
                toml_lines(parsed.as_table(), &Path::root(), &line, &mut lines);
            }
            lines
        }
    }
}

/// The paths of keys that an object has twice, with the line of the second. JSON lets the last one count without a word;
/// TOML does not allow it.
pub(super) fn twice(document: &Document) -> Vec<(String, usize)> {
    match document.format {
        Format::Json => Scan::run(&document.text, false).twice,
        Format::Toml => Vec::new(),
    }
}

fn toml_lines(
    table: &Table,
    path: &Path,
    line: &impl Fn(usize) -> usize,
    lines: &mut HashMap<String, usize>,
) {
    for (name, item) in table {
        let path = path.key(name);
        let key = table.key(name).and_then(|key| key.span()).or_else(|| item.span());
        if let Some(span) = key {
            lines.insert(path.as_str().into(), line(span.start));
        }
        if let Item::Table(table) = item {
            toml_lines(table, &path, line, lines);
        }
    }
}

/// One walk over a text that is known to be JSON.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    /// Whether lines are wanted; paths of thousands of values that are well are not.
    noting: bool,
    lines: HashMap<String, usize>,
    twice: Vec<(String, usize)>,
    /// The way from the top to here.
    way: Vec<Step>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl<'a> Scan<'a> {
    fn run(text: &'a str, noting: bool) -> Self {
        let mut scan = Self {
            text: text.as_bytes(),
            at: 0,
            line: 1,
            noting,
            lines: HashMap::new(),
            twice: Vec::new(),
            way: Vec::new(),
        };
        scan.value();
        scan
    }

    /// Walks over one value. Its depth is bounded, because the text was read by a parser that bounds it.
    fn value(&mut self) {
        match self.next() {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => _ = self.string(),
            _ => {
                while self.peek().is_some_and(|byte| !matches!(byte, b',' | b'}' | b']')) {
                    self.step();
                }
            }
        }
    }

    fn object(&mut self) {
        self.step();
        let mut seen = HashSet::new();
        while let Some(byte) = self.next() {
            match byte {
                b'"' => {
                    let key = self.string();
                    let again = !seen.insert(key.clone());
                    self.way.push(Step::Key(key));
                    self.note(again);
                    // The colon.
                    _ = self.next();
                    self.step();
                    self.value();
                    self.way.pop();
                }
                b'}' => return self.step(),
                _ => self.step(),
            }
        }
    }

    fn list(&mut self) {
        self.step();
        let mut index = 0;
        while let Some(byte) = self.next() {
            match byte {
                b']' => return self.step(),
                b',' => self.step(),
                _ => {
                    self.way.push(Step::Index(index));
                    self.note(false);
                    self.value();
                    self.way.pop();
                    index += 1;
                }
            }
        }
    }

    /// Walks over a text in quotes, and gives it.
    fn string(&mut self) -> String {
        let start = self.at;
        self.step();
        while let Some(byte) = self.peek() {
            self.step();
            match byte {
                b'\\' => self.step(),
                b'"' => break,
                _ => {}
            }
        }
        serde_json::from_slice(&self.text[start..self.at]).unwrap_or_default()
    }

    fn note(&mut self, again: bool) {
        if !self.noting && !again {
            return;
        }
        let path = self.way.iter().fold(Path::root(), |path, step| match step {
            Step::Key(key) => path.key(key),
            Step::Index(index) => path.index(*index),
        });
        if again {
            self.twice.push((path.as_str().into(), self.line));
        }
        self.lines.insert(path.as_str().into(), self.line);
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        while self.peek()?.is_ascii_whitespace() {
            self.step();
        }
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line += 1;
        }
        self.at = (self.at + 1).min(self.text.len());
    }
}

/// The line of a path, or of the nearest thing around it that has one.
pub(super) fn nearest(lines: &HashMap<String, usize>, path: &str) -> Option<usize> {
    let mut path = path;
    loop {
        if let Some(line) = lines.get(path) {
            return Some(*line);
        }
        path = &path[..path.rfind(['.', '['])?];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn document(text: &str) -> Document {
        super::super::format::parse(std::path::Path::new("x.conf"), text.into()).expect("read")
    }

    #[test]
    fn lines_of_json_are_found() {
        let text = "{\n \"a\": 1, \"b\": {\n  \"c.d\": [\n   true,\n   \"x\\\"}\\n\"\n  ]\n },\n \"a\": null}";
        let document = document(text);
        let lines = lines(&document);
        let line = |path| nearest(&lines, path);
        assert_eq!(line("b"), Some(2));
        assert_eq!(line("b.\"c.d\"[1]"), Some(5));
        assert_eq!(line("b.\"c.d\".missing"), Some(3));
        assert_eq!(line("nowhere"), None);
        assert_eq!(twice(&document), [("a".to_owned(), 8)]);
    }

    #[test]
    fn lines_of_toml_are_found() {
        let document = document("a = 1\n\n[checks.\"x y\"] # one\ntype = 'disk'\nlist = [1,\n2]\n");
        let lines = lines(&document);
        assert_eq!(nearest(&lines, "checks.\"x y\".type"), Some(4));
        assert_eq!(nearest(&lines, "checks.\"x y\".list[1]"), Some(5));
        assert_eq!(nearest(&lines, "checks.\"x y\".gone"), Some(3));
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            text in "([\\[\\]{}\":=,\n.#'a-c1 ]|\\PC){0,60}",
        ) {
            for name in ["x.conf", "x.json", "x.toml"] {
                for bytes in [bytes.clone(), text.clone().into_bytes()] {
                    let Ok(document) = super::super::format::parse(std::path::Path::new(name), bytes) else { continue };
                    let last = document.text.matches('\n').count() + 1;
                    prop_assert!(lines(&document).values().all(|line| (1..=last).contains(line)));
                    prop_assert!(twice(&document).iter().all(|(_, line)| (1..=last).contains(line)));
                }
            }
        }

        #[test]
        fn every_key_of_any_toml_has_the_line_it_stands_on(keys in prop::collection::hash_set("[^\\p{Cc}\"\\\\]{1,6}", 1..8)) {
            let keys: Vec<_> = keys.into_iter().collect();
            let text: String = keys.iter().map(|key| format!("[\"{key}\"]\n'x' = [1,\n2]\n")).collect();
            let lines = lines(&document(&text));
            for (number, key) in keys.iter().enumerate() {
                let path = Path::root().key(key);
                prop_assert_eq!(lines.get(path.as_str()), Some(&(1 + 3 * number)));
                prop_assert_eq!(lines.get(path.key("x").as_str()), Some(&(2 + 3 * number)));
            }
        }

        #[test]
        fn every_key_of_any_json_has_the_line_it_stands_on(keys in prop::collection::hash_set("\\PC{1,6}", 1..8)) {
            let map: serde_json::Map<String, Value> =
                keys.iter().map(|key| (key.clone(), Value::from(vec![key.clone()]))).collect();
            let text = serde_json::to_string_pretty(&map).expect("JSON");
            let lines = lines(&document(&text));
            for (number, key) in map.keys().enumerate() {
                // Each takes three lines: its key, the element, the bracket.
                prop_assert_eq!(lines.get(Path::root().key(key).as_str()), Some(&(2 + 3 * number)));
            }
        }
    }
}
