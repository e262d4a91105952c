//! Reading checks from CSV, one a row.

use fletchck_agent::config::Built;
use fletchck_shared::{
    config::{Kinds, ORIGINAL_CHECKS, near},
    schedule::{self, Trigger},
};
use serde_json::{Map, Value, json};

/// What the cells of a column are.
#[derive(Clone, Copy)]
enum Cell {
    Text,
    Flag,
    Number,
    Trigger,
    Zone,
    Names,
}

/// Where a column's values go in a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Check,
    Options,
}

use Cell::{Flag, Names, Number, Text, Trigger as When, Zone};
use Place::{Check, Options};

/// The columns there are, beside `name` and `checkType`.
const COLUMNS: &[(&str, Cell, Place)] = &[
    ("trigger", When, Check),
    ("paused", Flag, Check),
    ("threshold", Number, Check),
    ("retries", Number, Check),
    ("priority", Number, Check),
    ("failAction", Flag, Check),
    ("passAction", Flag, Check),
    ("publish", Text, Check),
    ("remoteId", Text, Check),
    ("subType", Text, Check),
    ("depends", Names, Check),
    ("actions", Names, Check),
    ("inseq", Names, Check),
    // An option in the configuration, although every check may have one.
    ("timezone", Zone, Options),
    ("checks", Names, Options),
    ("hostname", Text, Options),
    ("port", Number, Options),
    ("tls", Flag, Options),
    ("selfsigned", Flag, Options),
    ("level", Number, Options),
    ("timeout", Number, Options),
    ("temperature", Number, Options),
    ("hysteresis", Number, Options),
    ("reqName", Text, Options),
    ("reqPath", Text, Options),
    ("reqType", Text, Options),
    ("reqTcp", Flag, Options),
    ("probe", Text, Options),
    ("hostkey", Text, Options),
    ("upsName", Text, Options),
    ("volume", Text, Options),
    ("serialPort", Text, Options),
    ("beeper", Flag, Options),
    ("filename", Text, Options),
    ("failpattern", Text, Options),
    ("passpattern", Text, Options),
];

/// The checks of a table, as `{"checks": …}`, and what its owner should know of it.
pub(super) type Read = (Map<String, Value>, Vec<String>);

/// Reads a table, or tells everything that is wrong with it.
pub(super) fn read(text: &str) -> Result<Read, Vec<String>> {
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes())
        .into_records();
    let header: Vec<String> = match rows.next() {
        Some(Ok(header)) => header.iter().map(String::from).collect(),
        Some(Err(e)) => return Err(vec![e.to_string()]),
        None => return Err(vec!["the file is empty".into()]),
    };
    for wanted in ["name", "checkType"] {
        if !header.iter().any(|column| column == wanted) {
            let hint = separator(&header).unwrap_or_default();
            return Err(vec![format!("line 1: there is no column `{wanted}`{hint}")]);
        }
    }
    let mut notes = columns(&header);
    let mut faults = Vec::new();
    let mut checks = Map::new();
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(e) => {
                faults.push(e.to_string());
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        if let Some((name, check)) = check(&row, &header, line, &mut notes, &mut faults) {
            checks.insert(name, check);
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok((Map::from_iter([("checks".to_owned(), checks.into())]), notes))
}

/// What to do where something else than commas stands between the columns, as spreadsheets in some countries write them.
fn separator(header: &[String]) -> Option<&'static str> {
    match header {
        [all] if all.contains(';') => Some("; put `,` between the columns, not `;`"),
        [all] if all.contains('\t') => Some("; put `,` between the columns, not tabs"),
        _ => None,
    }
}

/// Warns of columns that are not known.
fn columns(header: &[String]) -> Vec<String> {
    let known = || COLUMNS.iter().map(|(name, ..)| *name).chain(["name", "checkType"]);
    let unknown = header.iter().filter(|column| !known().any(|name| name == column.as_str()));
    let note = |column: &String| match (column.as_str(), near::nearest(column, known())) {
        ("", _) => "line 1: a column without a name is left out".to_owned(),
        (column, Some(near)) => {
            format!(
                "line 1: unknown column `{column}`, did you mean `{near}`? It becomes an option as it is"
            )
        }
        (column, None) => format!("line 1: unknown column `{column}` becomes an option as it is"),
    };
    unknown.map(note).collect()
}

/// One row. `None` if it has no check, which the original passes over too, but says nothing of.
fn check(
    row: &csv::StringRecord,
    header: &[String],
    line: u64,
    notes: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Option<(String, Value)> {
    let (mut name, mut kind) = (None, None);
    let mut check = Map::new();
    let mut options = Map::new();
    let extra = row.iter().skip(header.len()).filter(|cell| !cell.is_empty()).count();
    if extra > 0 {
        notes.push(format!("line {line}: {extra} more than there are columns, left out"));
    }
    for (column, cell) in header.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
        match column.as_str() {
            "" => {}
            "name" => name = Some(cell),
            "checkType" => kind = Some(cell),
            column => {
                let known = COLUMNS.iter().find(|(name, ..)| *name == column);
                let (what, place) =
                    known.map_or((Text, Options), |(_, what, place)| (*what, *place));
                match value(cell, what) {
                    Ok(value) if place == Check => _ = check.insert(column.into(), value),
                    Ok(value) => _ = options.insert(column.into(), value),
                    Err(why) => faults.push(format!("line {line}, {column} `{cell}`: {why}")),
                }
            }
        }
    }
    if row.iter().all(str::is_empty) {
        return None;
    }
    let (Some(name), Some(kind)) = (name, kind) else {
        let lacks = if name.is_none() { "name" } else { "checkType" };
        notes.push(format!("line {line} has no {lacks} and is left out"));
        return None;
    };
    if !ORIGINAL_CHECKS.contains(&kind) && Built.check_options(kind).is_none() {
        let known = ORIGINAL_CHECKS.iter().copied().chain(Built.checks());
        let hint = near::nearest(kind, known);
        let hint = hint.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        notes.push(format!("line {line}: there is no type `{kind}`{hint}; `{name}` is left out"));
        return None;
    }
    check.shift_insert(0, "type".into(), kind.into());
    check.insert("options".into(), options.into());
    Some((name.into(), check.into()))
}

fn value(cell: &str, what: Cell) -> Result<Value, String> {
    match what {
        Text => Ok(cell.into()),
        Flag => flag(cell).map(Value::from).ok_or_else(|| "write yes or no".into()),
        Number => cell.parse::<i64>().map(Value::from).map_err(|_| "write a whole number".into()),
        When => cell.parse::<Trigger>().map(|t| t.to_json()).map_err(|e| e.to_string()),
        Zone => schedule::zone(cell).map(|zone| zone.name().into()).map_err(|e| e.to_string()),
        Names => {
            let names = cell.split(',').map(str::trim).filter(|name| !name.is_empty());
            Ok(json!(names.collect::<Vec<_>>()))
        }
    }
}

fn flag(cell: &str) -> Option<bool> {
    match cell.to_lowercase().as_str() {
        "t" | "true" | "yes" | "y" => Some(true),
        "f" | "false" | "no" | "n" | "null" | "none" | "" => Some(false),
        digits => digits.parse::<u64>().ok().map(|number| number != 0),
    }
}
