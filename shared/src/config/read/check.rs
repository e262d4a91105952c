//! One entry of `checks`, without what it has to do with others.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::{Map, Value};

use super::{ZONE_RIGHT, edges::Names, options, policy::Partial, zone};
use crate::{
    ActionName, CheckName, Tz,
    config::{Check, Fault, Kinds, ORIGINAL_CHECKS, Path, Severity, near, table::Table},
    schedule::Trigger,
    time,
    topic::Topic,
    wire,
};

static NO_OPTIONS: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// An entry of `checks` as far as it is read.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// Its name as it stands in the file, which may be no name.
    pub(super) key: &'a str,
    pub(super) path: Path,
    /// `None`: it is left out, and its faults say why.
    pub(super) check: Option<(CheckName, Check)>,
    /// Names of checks it depends on, each with its place in the list.
    pub(super) depends: Vec<(usize, &'a str)>,
    /// Names of its members, if it is a sequence.
    pub(super) members: Vec<(usize, &'a str)>,
    pub(super) faults: Vec<Fault>,
}

/// What the site decides for its checks.
#[derive(Debug)]
pub(super) struct Common<'a> {
    pub(super) actions: &'a Names<ActionName>,
    /// What holds where neither a check nor its group decides.
    pub(super) defaults: &'a Partial,
    /// What holds for the checks of a group, by its name.
    pub(super) groups: &'a HashMap<String, Partial>,
    /// The zone of times in runtime data.
    pub(super) zone: Tz,
}

/// Reads one entry.
pub(super) fn draft<'a>(
    key: &'a str,
    value: &'a Value,
    path: Path,
    kinds: &impl Kinds,
    common: &Common<'_>,
) -> Draft<'a> {
    let mut draft = Draft {
        key,
        path: path.clone(),
        check: None,
        depends: Vec::new(),
        members: Vec::new(),
        faults: Vec::new(),
    };
    let mut table = match Table::of(value, path.clone()) {
        Ok(table) => table,
        Err(fault) => {
            draft.faults.push(fault);
            return draft;
        }
    };
    let name = CheckName::try_from(key);
    if let Err(e) = &name {
        table.push(Fault::error(path, e.to_string(), "another name"));
    }
    let kind = kind(&mut table, kinds);
    let given = table.object("options").unwrap_or(&NO_OPTIONS);
    let mut known = Map::new();
    if let Some(kind) = kind {
        let path = table.path("options");
        let mut wrong = Vec::new();
        let names = kinds.check_options(kind).unwrap_or_default();
        known = options::known(given, &path, &names, &mut wrong);
        wrong.extend(kinds.check(kind, &known).into_iter().map(|fault| fault.within(&path)));
        wrong.into_iter().for_each(|fault| table.push(fault));
    }
    let timezone = timezone(given, &mut table);
    let mut untold = Vec::new();
    let group = group(&mut table, common);
    let own = Partial::read(&mut table, common.actions, &mut untold);
    let decided = own.or(group.unwrap_or(&Partial::default())).or(common.defaults).decided();
    let check = Check {
        kind: kind.unwrap_or_default().into(),
        sub_kind: table.text("subType").map(String::from),
        trigger: trigger(&mut table),
        threshold: decided.threshold,
        window: decided.window,
        recover: decided.recover,
        retries: decided.retries,
        priority: table.whole("priority", i64::MIN..=i64::MAX).unwrap_or(0),
        paused: table.flag("paused", false),
        uplink: table.flag("uplink", true),
        publish: table.parse("publish", "a topic, `home/nas/disk` for example", Topic::try_from),
        remote_id: table.text("remoteId").map(String::from),
        timezone,
        options: known,
        policy: decided.policy,
        actions: decided.actions,
        depends: Vec::new(),
        seed: seed(&mut table, timezone.unwrap_or(common.zone)),
    };
    draft.depends = table.texts("depends");
    if kind == Some("sequence") {
        draft.members = members(given);
    }
    draft.check = name.ok().filter(|_| table.sound()).map(|name| (name, check));
    draft.faults = table.close();
    draft.faults.append(&mut untold);
    draft
}

/// The type, if it is one that runs.
fn kind<'a>(table: &mut Table<'a>, kinds: &impl Kinds) -> Option<&'a str> {
    let was_sound = table.sound();
    let Some(kind) = table.text("type") else {
        if table.sound() == was_sound {
            table.error("type", "missing", near::instead("", &kinds.checks(), "types of checks"));
        }
        return None;
    };
    if kinds.check_options(kind).is_some() {
        return Some(kind);
    }
    if ORIGINAL_CHECKS.contains(&kind) {
        table.error(
            "type",
            format!("this version of fletchck does not run `{kind}` checks yet"),
            "nothing to mend: the check stays in the file until a version that runs it",
        );
    } else {
        let right = near::instead(kind, &kinds.checks(), "types of checks");
        table.error("type", format!("there is no type of check `{kind}`"), right);
    }
    None
}

/// What the group of a check decides.
fn group<'a>(table: &mut Table<'_>, common: &Common<'a>) -> Option<&'a Partial> {
    let name = table.text("group")?;
    let group = common.groups.get(name);
    if group.is_none() {
        let mut names: Vec<&str> = common.groups.keys().map(String::as_str).collect();
        names.sort_unstable();
        table.warn(
            "group",
            format!("there is no group `{name}`, so the site's defaults hold"),
            near::instead(name, &names, "groups"),
        );
    }
    group
}

fn trigger(table: &mut Table<'_>) -> Option<Trigger> {
    let value = table.get("trigger")?;
    match Trigger::from_json(value) {
        Ok(trigger) => Some(trigger),
        Err(e) => {
            let right = match value.get("cron") {
                Some(_) => "as in `{\"cron\": {\"hour\": 3, \"minute\": 30}}`",
                None => "as in `{\"interval\": {\"minutes\": 5}}`",
            };
            table.error("trigger", e.to_string(), right);
            None
        }
    }
}

/// Every type of check may have a zone among its options.
fn timezone(given: &Map<String, Value>, table: &mut Table<'_>) -> Option<Tz> {
    let mut options = Table::new(given, table.path("options"));
    let timezone = options.parse("timezone", ZONE_RIGHT, zone);
    // The other options were judged by the check's type.
    let errors = options.close().into_iter().filter(|fault| fault.severity == Severity::Error);
    errors.for_each(|fault| table.push(fault));
    timezone
}

fn seed(table: &mut Table<'_>, zone: Tz) -> Option<crate::State> {
    let data = table.object("data").filter(|data| !data.is_empty())?;
    // Messages have no such field, but sites that were saved do.
    let heard = data.get("lastUpdate").and_then(Value::as_str);
    let last_update = heard.and_then(|text| time::parse(text, zone));
    match wire::Data::read(&Value::Object(data.clone()), zone) {
        Ok(data) => Some(crate::State { last_update, ..data.seed() }),
        Err(e) => {
            table.warn("data", e, "the check begins without a state");
            None
        }
    }
}

/// Names of members; what is no text among them is a fault that the type tells of.
fn members(given: &Map<String, Value>) -> Vec<(usize, &str)> {
    let list = given.get("checks").and_then(Value::as_array);
    let texts = list.into_iter().flatten().map(Value::as_str).enumerate();
    texts.filter_map(|(place, text)| Some((place, text?))).collect()
}
