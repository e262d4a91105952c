//! What `systemctl show` and `systemctl list-units` say.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::program::signal;

/// What is asked of a unit. What its systemd or its type does not know is left out of the answer.
pub(super) const PROPERTIES: &str = "--property=Id,LoadState,LoadError,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,\
     NRestarts,UnitFileState,StateChangeTimestamp,NeedDaemonReload,ConditionResult,ConditionTimestamp,Type,\
     LastTriggerUSec,NextElapseUSecRealtime";

/// Longest value that is kept, in bytes.
const LONGEST: usize = 256;

/// A unit as `systemctl show` tells it. Words are systemd's own, and empty where it tells none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::checks) struct Unit {
    /// Its name with its ending; that of the unit itself, where it was asked for by another.
    pub(super) id: String,
    /// Whether its file was read: `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub(super) load: String,
    pub(super) load_error: String,
    /// `active`, `inactive`, `failed`, `activating` and so on.
    pub(super) active: String,
    /// The finer state, `running` or `waiting`.
    pub(super) sub: String,
    /// How it ended last: `success`, `exit-code`, `signal`.
    pub(super) result: String,
    /// How its main process ended, as waitid(2) tells: by itself, by a signal, by one with a core dump.
    code: i32,
    /// With which code, or by which signal.
    status: i32,
    /// How often it was started anew by itself.
    pub(super) restarts: Option<u64>,
    /// `enabled`, `disabled`, `static`.
    pub(super) file: String,
    /// When its state changed last.
    pub(super) since: Option<DateTime<Utc>>,
    /// Whether its file was changed since it was read.
    pub(super) changed: bool,
    /// Whether a condition kept it from being started.
    pub(super) unmet: bool,
    pub(super) kind: String,
    /// When a timer went off last, and when it will.
    pub(super) last: Option<DateTime<Utc>>,
    pub(super) next: Option<DateTime<Utc>>,
}

impl Unit {
    /// Reads an answer: lines `Property=value`, with an empty line between two units.
    pub(in crate::checks) fn read_all(answer: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(answer);
        let (mut units, mut unit) = (Vec::new(), Self::default());
        let mut condition = (false, false);
        for line in text.lines().chain([""]) {
            if line.is_empty() {
                unit.unmet = condition == (true, true);
                condition = (false, false);
                units.extend(Some(std::mem::take(&mut unit)).filter(|unit| !unit.id.is_empty()));
                continue;
            }
            let Some((property, value)) = line.split_once('=') else { continue };
            let word = || plain(value);
            match property {
                "Id" => unit.id = word(),
                "LoadState" => unit.load = word(),
                // A name of D-Bus, and words in quotes.
                "LoadError" => unit.load_error = plain(value.split('"').nth(1).unwrap_or_default()),
                "ActiveState" => unit.active = word(),
                "SubState" => unit.sub = word(),
                "Result" => unit.result = word(),
                "ExecMainCode" => unit.code = value.parse().unwrap_or_default(),
                "ExecMainStatus" => unit.status = value.parse().unwrap_or_default(),
                "NRestarts" => unit.restarts = value.parse().ok(),
                "UnitFileState" => unit.file = word(),
                "StateChangeTimestamp" => unit.since = time(value),
                "NeedDaemonReload" => unit.changed = value == "yes",
                "ConditionResult" => condition.0 = value == "no",
                "ConditionTimestamp" => condition.1 = time(value).is_some(),
                "Type" => unit.kind = word(),
                "LastTriggerUSec" => unit.last = time(value),
                "NextElapseUSecRealtime" => unit.next = time(value),
                _ => {}
            }
        }
        units
    }

    /// Its state, with the finer one where that says more.
    pub(super) fn state(&self) -> String {
        let Self { active, sub, .. } = self;
        if sub.is_empty() || sub == active { active.clone() } else { format!("{active} ({sub})") }
    }

    /// Whether it ended well when it ended last, or has not ended yet.
    pub(super) fn well(&self) -> bool {
        matches!(&*self.result, "" | "success" | "exec-condition")
    }

    /// How it ended, behind `it`.
    pub(super) fn end(&self) -> String {
        let status = self.status;
        match &*self.result {
            "exit-code" => format!("ended with {status}"),
            "signal" => format!("was ended by {}", signal(status)),
            "core-dump" => format!("crashed by {}", signal(status)),
            "oom-kill" => "was killed because memory ran out".into(),
            "timeout" => "took too long to start or to stop".into(),
            "watchdog" => "gave no sign of life in time (watchdog)".into(),
            "start-limit-hit" => "was started too often (start-limit-hit)".into(),
            "resources" => "lacked a resource: a file, a user, memory (resources)".into(),
            "protocol" => "was not ready as its type demands (protocol)".into(),
            "success" | "" => "ended well".into(),
            other => format!("ended: {other}"),
        }
    }
}

/// The units that `systemctl list-units --plain --no-legend` lists: one a line, its name first, then three words, then whatever
/// describes it.
pub(in crate::checks) fn failed_units(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answer);
    let name = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| matches!(*word, "●" | "*" | "×"));
        let name = words.next()?;
        // The name of a unit is shorter (UNIT_NAME_MAX), and cut off it would have no ending.
        let names = name.contains('.') && name.len() < LONGEST;
        (names && words.nth(2).is_some()).then(|| plain(name))
    };
    text.lines().filter_map(name).collect()
}

/// A text of bounded length without control characters.
pub(super) fn plain(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    text.trim().replace(char::is_control, "\u{fffd}")
}

/// A time as `Thu 2026-11-26 15:12:48 UTC`, if there is one.
fn time(value: &str) -> Option<DateTime<Utc>> {
    let (_weekday, rest) = value.split_once(' ')?;
    let text = rest.strip_suffix(" UTC")?;
    Some(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc())
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_read_one_after_another() {
        let answer = b"Type=simple\nResult=signal\nNRestarts=3\nExecMainCode=2\nExecMainStatus=9\nId=a.service\nLoadState=loaded\n\
            ActiveState=active\nSubState=running\nUnitFileState=enabled\nStateChangeTimestamp=Thu 2026-11-26 15:12:48 UTC\n\
            NeedDaemonReload=yes\nConditionResult=yes\nConditionTimestamp=Thu 2026-11-26 15:12:48 UTC\nLoadError=\n\n\
            Id=b.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nStateChangeTimestamp=\n\
            LoadError=org.freedesktop.systemd1.NoSuchUnit \"Unit b.service not found.\"\n";
        let units = Unit::read_all(answer);
        let [a, b] = &units[..] else { panic!("{units:?}") };
        assert_eq!((a.state().as_str(), a.restarts), ("active (running)", Some(3)));
        assert_eq!(a.end(), "was ended by SIGKILL (signal 9)");
        let since = a.since.expect("a time").to_rfc3339_opts(SecondsFormat::Secs, true);
        assert_eq!(since, "2026-11-26T15:12:48Z");
        assert!(a.changed && !a.unmet && !a.well());
        assert_eq!(b.load_error, "Unit b.service not found.");
        assert_eq!((b.since, b.restarts, b.well()), (None, None, true));
    }

    #[test]
    fn the_end_of_a_unit_is_put_into_words() {
        for (result, status, words) in [
            ("exit-code", 3, "ended with 3"),
            ("core-dump", 11, "crashed by SIGSEGV (signal 11)"),
            ("oom-kill", 9, "was killed because memory ran out"),
            ("timeout", 15, "took too long to start or to stop"),
            ("new-word", 0, "ended: new-word"),
        ] {
            let unit = Unit { result: result.into(), status, ..Unit::default() };
            assert_eq!(unit.end(), words);
        }
    }

    #[test]
    fn failed_units_are_listed_with_their_names_first() {
        let answer = "a.service loaded failed failed Some text = \u{1b}[31m\n● b@x\\x2dy.service not-found failed failed b\n\
                      \nnonsense\nc.mount loaded failed\n";
        assert_eq!(failed_units(answer.as_bytes()), ["a.service", "b@x\\x2dy.service"]);
        assert_eq!(failed_units(b""), [""; 0]);
    }

    #[test]
    fn a_time_that_is_none_is_none() {
        for text in [
            "",
            "n/a",
            "0",
            "Thu 2026-11-26 15:12:48 CET",
            "Thu 2026-13-26 15:12:48 UTC",
            "infinity",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
        assert!(time("Thu 2026-11-26 15:12:48.123456 UTC").is_some());
    }

    /// It was cut off, and without its ending it was none.
    #[test]
    fn a_word_that_is_too_long_names_no_unit() {
        let line = |length: usize| {
            format!("{}.service loaded failed failed Some text\n", "a".repeat(length))
        };
        assert_eq!(failed_units(line(300).as_bytes()), [""; 0]);
        assert_eq!(failed_units((line(300) + &line(200)).as_bytes()).len(), 1);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for unit in Unit::read_all(&bytes) {
                prop_assert!(!unit.id.is_empty() && unit.id.len() <= LONGEST * 3);
            }
            prop_assert!(failed_units(&bytes).iter().all(|name| name.contains('.')));
        }

        #[test]
        fn no_property_is_too_strange(
            lines in prop::collection::vec(("(Id|Result|ExecMainStatus|NRestarts|LoadError|StateChangeTimestamp|)", ".{0,40}"), 0..20),
        ) {
            let text: String = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            for unit in Unit::read_all(text.as_bytes()) {
                let words = unit.end() + &unit.state();
                prop_assert!(!words.chars().any(char::is_control));
            }
        }

        #[test]
        fn every_unit_of_an_answer_is_read(names in prop::collection::vec("[a-z@.-]{1,30}", 0..10), restarts: u64) {
            let text: Vec<_> = names.iter().map(|name| format!("NRestarts={restarts}\nId={name}\n")).collect();
            let units = Unit::read_all(text.join("\n").as_bytes());
            prop_assert_eq!(units.iter().map(|unit| &unit.id).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
            prop_assert!(units.iter().all(|unit| unit.restarts == Some(restarts)));
        }
    }
}
