//! One source of values, and what comes of laying several over each other.

use config::{ConfigError, Map as Table, Source, Value as Part, ValueKind};
use fletchck_shared::config::Path;
use serde_json::{Map, Value};

/// Everything lies below this one key while the sources are merged: the crate takes keys at the top for expressions, in
/// which `.` and `[` mean something, and leaves those below as they are.
const TOP: &str = "site";

/// One source of values; each value remembers it.
#[derive(Clone, Debug)]
pub(super) struct Layer(Part);

impl Layer {
    /// All values of a document.
    pub(super) fn new(origin: &str, map: &Map<String, Value>) -> Self {
        let origin = origin.to_owned();
        Self(Part::new(Some(&origin), table(&origin, map)))
    }

    /// One value, some keys below the top.
    pub(super) fn value(origin: &str, keys: &[String], value: &Value) -> Self {
        let mut layer = part(&origin.to_owned(), value);
        for key in keys.iter().rev() {
            layer = Table::from_iter([(key.clone(), layer)]).into();
        }
        Self(layer)
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Table<String, Part>, ConfigError> {
        Ok(Table::from_iter([(TOP.to_owned(), self.0.clone())]))
    }
}

/// What came of the sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged {
    pub(super) map: Map<String, Value>,
    /// The paths of values that did not come from the first source, and where they did come from.
    origins: Vec<(Path, String)>,
}

/// Lays sources over each other, the later over the earlier: objects key by key, anything else whole.
pub(super) fn merge(layers: Vec<Layer>) -> Result<Merged, ConfigError> {
    let first = layers.first().and_then(|Layer(part)| part.origin().map(String::from));
    let mut builder = config::Config::builder();
    for layer in layers {
        builder = builder.add_source(layer);
    }
    let table = builder.build()?.get_table(TOP)?;
    let mut merged = Merged::default();
    for (key, part) in table {
        note(&part, Path::root().key(&key), first.as_deref(), &mut merged.origins);
        merged.map.insert(key, to_json(part));
    }
    Ok(merged)
}

impl Merged {
    /// One source that nothing is laid over.
    pub(super) fn alone(map: &Map<String, Value>) -> Self {
        Self { map: map.clone(), origins: Vec::new() }
    }

    /// Where the value at a path, or the first one below it, came from, unless that is the first source.
    pub(super) fn origin(&self, path: &str) -> Option<&str> {
        let above = self.origins.iter().find(|(at, _)| at.holds(path));
        let below = || {
            let here = Path::root().join(path);
            self.origins.iter().find(|(at, _)| here.holds(at.as_str()))
        };
        above.or_else(below).map(|(_, origin)| origin.as_str())
    }
}

fn note(part: &Part, path: Path, first: Option<&str>, origins: &mut Vec<(Path, String)>) {
    match &part.kind {
        ValueKind::Table(table) if !table.is_empty() => {
            for (key, part) in table {
                note(part, path.key(key), first, origins);
            }
        }
        _ => {
            if let Some(origin) = part.origin().filter(|origin| Some(*origin) != first) {
                origins.push((path, origin.into()));
            }
        }
    }
}

fn part(origin: &String, value: &Value) -> Part {
    let kind = match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(flag) => ValueKind::Boolean(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => ValueKind::I64(number),
            (None, Some(number)) => ValueKind::U64(number),
            (None, None) => ValueKind::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => ValueKind::String(text.clone()),
        Value::Array(list) => ValueKind::Array(list.iter().map(|v| part(origin, v)).collect()),
        Value::Object(map) => table(origin, map),
    };
    Part::new(Some(origin), kind)
}

fn table(origin: &String, map: &Map<String, Value>) -> ValueKind {
    ValueKind::Table(map.iter().map(|(k, v)| (k.clone(), part(origin, v))).collect())
}

/// The same value as JSON. What JSON does not have becomes a text, so that a fault can show it.
pub(super) fn to_json(part: Part) -> Value {
    match part.kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(flag) => flag.into(),
        ValueKind::I64(number) => number.into(),
        ValueKind::U64(number) => number.into(),
        ValueKind::I128(number) => number.to_string().into(),
        ValueKind::U128(number) => number.to_string().into(),
        ValueKind::Float(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| number.to_string().into(), Value::Number),
        ValueKind::String(text) => text.into(),
        ValueKind::Array(list) => list.into_iter().map(to_json).collect(),
        ValueKind::Table(table) => {
            Value::Object(table.into_iter().map(|(key, part)| (key, to_json(part))).collect())
        }
    }
}
