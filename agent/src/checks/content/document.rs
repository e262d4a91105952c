//! A JSON text, read as far as a path needs it. Values take many times the room of their text, and how many there are is
//! up to whoever wrote it: what the path passes by is skipped, and what it may look at has its bounds.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Most room of the values that a path may look at, in bytes. A list takes up to three times as much while it grows.
const ROOM: usize = 224 * 1024;

/// Room of one value beside what it refers to.
const SLOT: usize = size_of::<Value>();

/// Room of a member of an object beside its value: the name and its place in the table.
const NAME: usize = 64;

/// The steps that a path begins with and that lead to one place at most.
#[derive(Debug)]
pub(super) struct Way(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    Nth(usize),
}

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
pub(in crate::checks) enum NoDocument {
    #[error("it is no JSON ({0})")]
    Json(#[source] serde_json::Error),
    #[error("more of it is on the way than is looked at")]
    TooLarge,
}

impl Way {
    /// The first steps of a path, which is a good one, up to one that may lead to many places. A path whose filters begin
    /// anew at the whole text has none.
    pub(super) fn of(path: &str) -> Self {
        let mut steps = Vec::new();
        if unquoted(path).skip(1).any(|(_, c)| c == '$') {
            return Self(steps);
        }
        let mut rest = path.strip_prefix('$').unwrap_or_default();
        while let Some((step, behind)) = step(rest) {
            steps.push(step);
            rest = behind;
        }
        Self(steps)
    }

    /// Reads a text. What lies beside the way is not there, or null where it must be counted.
    ///
    /// # Errors
    /// The text is no JSON, or too large on the way.
    pub(super) fn read(&self, text: &[u8]) -> Result<Value, NoDocument> {
        let room = Cell::new(Some(ROOM));
        let mut reader = serde_json::Deserializer::from_slice(text);
        let part = Part { steps: &self.0, room: &room };
        let read = part.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        read.map_err(|error| match room.get() {
            Some(_) => NoDocument::Json(error),
            None => NoDocument::TooLarge,
        })
    }
}

/// Whether what follows the `$` of a path within a filter leads to one place at most.
pub(super) fn singular(path: &str) -> bool {
    let mut rest = path;
    while let Some((_, behind)) = step(rest) {
        rest = behind;
    }
    !rest.trim_start().starts_with(['.', '['])
}

/// The characters of a path that do not stand in quotes, nor are quotes, and where they are.
pub(super) fn unquoted(path: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut escaped) = (None, false);
    path.char_indices().filter(move |(_, c)| {
        if escaped {
            escaped = false;
        } else if let Some(open) = quote {
            escaped = *c == '\\';
            quote = quote.filter(|_| *c != open);
        } else if matches!(c, '"' | '\'') {
            quote = Some(*c);
        } else {
            return true;
        }
        false
    })
}

/// The first step of what follows in a path, and what follows that.
fn step(path: &str) -> Option<(Step, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        // It may be `..` or `.*`, or spread over a space.
        return (!name.is_empty()).then(|| (Step::Name(name.into()), rest));
    }
    let rest = path.strip_prefix('[')?;
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (name, rest) = rest[1..].split_once(quote)?;
        let rest = rest.strip_prefix(']').filter(|_| !name.contains('\\'))?;
        return Some((Step::Name(name.into()), rest));
    }
    let (number, rest) = rest.split_once(']')?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((Step::Nth(number.parse().ok().filter(|_| digits)?), rest))
}

/// What is read of a value: all of it where no step is left.
#[derive(Clone, Copy)]
struct Part<'a> {
    steps: &'a [Step],
    /// The room that is left, `None` once there was too little.
    room: &'a Cell<Option<usize>>,
}

impl<'a> Part<'a> {
    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        self.room.set(self.room.get().and_then(|room| room.checked_sub(bytes)));
        self.room.get().map(drop).ok_or_else(|| E::custom("too large"))
    }

    /// The part of what is there by this name, if any of it is read.
    fn named(&self, name: &str) -> Option<Self> {
        match self.steps.split_first() {
            None => Some(*self),
            Some((Step::Name(wanted), steps)) => {
                (wanted == name).then_some(Self { steps, ..*self })
            }
            Some((Step::Nth(_), _)) => None,
        }
    }

    /// The part of what is there at this place, if any of it is read.
    fn nth(&self, nth: usize) -> Option<Self> {
        match self.steps.split_first() {
            None => Some(*self),
            Some((Step::Nth(wanted), steps)) => (*wanted == nth).then_some(Self { steps, ..*self }),
            Some((Step::Name(_), _)) => None,
        }
    }

    /// Whether this place comes before the one that is read.
    fn before(&self, nth: usize) -> bool {
        matches!(self.steps.first(), Some(Step::Nth(wanted)) if nth < *wanted)
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        for nth in 0.. {
            let more = match self.nth(nth) {
                Some(part) => list.next_element_seed(part)?,
                None => {
                    let skipped = list.next_element::<IgnoredAny>()?;
                    if skipped.is_some() && !self.before(nth) {
                        continue;
                    }
                    skipped.map(|_| Value::Null)
                }
            };
            let Some(value) = more else { break };
            // The first one makes room for four.
            self.take(if values.is_empty() { 4 * SLOT } else { SLOT })?;
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Some(part) = self.named(&name) else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let member = SLOT + NAME;
            self.take(name.len() + if object.is_empty() { 3 * member } else { member })?;
            let value = members.next_value_seed(part)?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use serde_json_path::JsonPath;

    use super::*;

    #[test]
    fn a_way_ends_where_a_path_may_lead_to_many_places() {
        let name = |name: &str| Step::Name(name.into());
        for (path, steps) in [
            ("$", vec![]),
            ("$.a.b_1", vec![name("a"), name("b_1")]),
            ("$['a b'][\"c.d\"][7].ä", vec![name("a b"), name("c.d"), Step::Nth(7), name("ä")]),
            ("$.a[*].b", vec![name("a")]),
            ("$.a..b", vec![name("a")]),
            ("$.a.*", vec![name("a")]),
            ("$.a[-1]", vec![name("a")]),
            ("$.a[1:2]", vec![name("a")]),
            ("$.a[0,1]", vec![name("a")]),
            ("$.a['b','c']", vec![name("a")]),
            ("$.a['b\\u0063']", vec![name("a")]),
            ("$.a[?@.b]", vec![name("a")]),
            ("$.a[?@.b == '$']", vec![name("a")]),
            ("$['$'].a", vec![name("$"), name("a")]),
            ("$.a[?@.b == $.c]", vec![]),
        ] {
            assert_eq!(Way::of(path).0, steps, "{path}");
        }
    }

    #[test]
    fn what_lies_beside_the_way_takes_no_room() {
        let text =
            format!("{{\"all\": [{}], \"one\": {{\"state\": \"up\"}}}}", "0,".repeat(90_000) + "0");
        let read = |path: &str| Way::of(path).read(text.as_bytes());
        assert_eq!(read("$.one.state").expect("read"), json!({"one": {"state": "up"}}));
        assert_eq!(read("$.all[2]").expect("read"), json!({"all": [null, null, 0]}));
        for path in ["$", "$.all", "$.all[*]", "$..state", "$.all[80000]"] {
            assert!(matches!(read(path), Err(NoDocument::TooLarge)), "{path}");
        }
        assert!(matches!(Way::of("$.a").read(b"{\"a\": 1} x"), Err(NoDocument::Json(_))));
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(null)), any::<i8>().prop_map(Value::from)];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_path_finds_in_what_is_read_what_it_finds_in_all(
            document in documents(), path in "\\$(\\.[ab]|\\[[0-3]\\]|\\['a'\\]|\\[\\*\\]|\\[-1\\]|\\[0:2\\]|\\[\\?@(\\.[ab]|\\[0\\])?( == \\$(\\.[ab]|\\[[01]\\]){0,2}| == '\\$'| > 3)?\\]){0,4}"
        ) {
            let read = Way::of(&path).read(document.to_string().as_bytes()).expect("it is small");
            let path = JsonPath::parse(&path).expect("a path");
            prop_assert_eq!(path.query(&read).all(), path.query(&document).all());
        }
    }
}
