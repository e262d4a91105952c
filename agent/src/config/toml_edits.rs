//! Writing a change into a TOML file, so that comments and layout stay.

use serde_json::{Map, Value};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value as Toml, value};

/// The text with the difference between `old`, which it says, and `new` written into it.
pub(super) fn apply(
    text: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| e.message().to_owned())?;
    change(document.as_table_mut(), old, new);
    Ok(document.to_string())
}

fn change(table: &mut dyn TableLike, old: &Map<String, Value>, new: &Map<String, Value>) {
    for key in old.keys().filter(|key| new.get(*key).is_none_or(Value::is_null)) {
        table.remove(key);
    }
    for (key, to) in new {
        match (old.get(key), to) {
            // TOML has no null; a key that is not there means the same.
            (_, Value::Null) => {}
            (Some(from), to) if from == to => {}
            (Some(Value::Object(from)), Value::Object(to)) => {
                match table.get_mut(key).and_then(Item::as_table_like_mut) {
                    Some(table) => change(table, from, to),
                    None => _ = table.insert(key, item(&Value::Object(to.clone()))),
                }
                // What was there by the names of others alone is not without them.
                if let Some(Item::Table(table)) = table.get_mut(key)
                    && table.is_empty()
                {
                    table.set_implicit(false);
                    table.set_dotted(false);
                }
            }
            (Some(_), to) => match table.get_mut(key) {
                // The comment behind the old value stays behind the new one.
                Some(Item::Value(old)) => {
                    let decor = old.decor().clone();
                    *old = inline(to);
                    *old.decor_mut() = decor;
                }
                _ => _ = table.insert(key, item(to)),
            },
            (None, to) => _ = table.insert(key, item(to)),
        }
    }
}

/// A new value; an object gets a header of its own.
fn item(from: &Value) -> Item {
    match from {
        Value::Object(map) => {
            let mut table = Table::new();
            // A table of nothing but tables needs no header, theirs are enough.
            table.set_implicit(!map.is_empty() && map.values().all(Value::is_object));
            for (key, from) in map.iter().filter(|(_, value)| !value.is_null()) {
                table.insert(key, item(from));
            }
            Item::Table(table)
        }
        other => value(inline(other)),
    }
}

fn inline(from: &Value) -> Toml {
    match from {
        // Only within a list, where something has to stand.
        Value::Null => "".into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => Toml::Array(list.iter().map(inline).collect::<Array>()),
        Value::Object(map) => {
            let filled = map.iter().filter(|(_, value)| !value.is_null());
            Toml::InlineTable(filled.map(|(k, v)| (k.as_str(), inline(v))).collect::<InlineTable>())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Map<String, Value> {
        let path = std::path::Path::new("x.toml");
        super::super::format::parse(path, text.into())
            .map(|document| document.map)
            .unwrap_or_default()
    }

    /// Any value that TOML has.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e6..1e6).prop_map(Value::from),
            "\\PC{0,6}|[\"'\\\\\n\r\t\u{0}]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                objects(inner).prop_map(Value::from),
            ]
        })
    }

    fn objects(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::vec(("[a-c]|[a-c .\"#]{0,3}", values), 0..5)
            .prop_map(|all| all.into_iter().collect())
    }

    #[test]
    fn a_table_that_loses_its_last_part_stays_as_an_empty_one() {
        let empty = json!({ "b": {} });
        for text in ["[b.a]\n", "b.a = {}\n", "[b]\na = {}\n", "b = { a = {} }\n"] {
            let old = read(text);
            assert_eq!(json!(old), json!({ "b": { "a": {} } }), "{text}");
            let new = apply(text, &old, empty.as_object().expect("an object")).expect("TOML");
            assert_eq!(json!(read(&new)), empty, "{text} became {new}");
        }
    }

    proptest! {
        #[test]
        fn what_is_changed_is_what_stands_there_then(one in objects(values()), two in objects(values())) {
            // From nothing to one, and from that to the other, as edits do it.
            let text = apply("# about this file\n", &Map::new(), &one).expect("TOML");
            prop_assert_eq!(json!(read(&text)), json!(one), "{}", text);
            let text = apply(&text, &one, &two).expect("TOML");
            prop_assert_eq!(json!(read(&text)), json!(two), "{}", text);
        }
    }
}
