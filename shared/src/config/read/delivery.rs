//! How an action is told of what there is to tell.

use std::time::Duration;

use chrono::{NaiveTime, Weekday};

use super::{ZONE_RIGHT, policy, zone};
use crate::{
    ActionName,
    config::{Delivery, Fault, table::Table},
    policy::QuietHours,
};

/// Longest time that an action may be tried: a year.
const RETRY_MAX: i64 = 366 * 24 * 3600;

/// Longest time that an action waits for more.
const GATHER_MAX: i64 = 24 * 3600;

/// Reads the keys beside `type` and `options`. Whether the failover is there is for the caller to see.
pub(super) fn delivery(table: &mut Table<'_>) -> Delivery {
    let failover = table.parse("failover", "the name of another action", ActionName::try_from);
    let longest = match &failover {
        Some(_) => Delivery::RETRY_BEFORE_FAILOVER,
        None => Delivery::RETRY_FOR,
    };
    let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    Delivery {
        failover,
        retry_for: table.whole("retryFor", 0..=RETRY_MAX).map_or(longest, seconds),
        gather: table.whole("gather", 0..=GATHER_MAX).map(seconds),
        rate: table.whole("rate", 0..=100_000).and_then(|rate| u32::try_from(rate).ok()),
        quiet: quiet(table),
    }
}

/// `"quiet": {"from": "22:00", "to": "07:00", "days": ["sat", "sun"], "timezone": "…", "except": "critical"}`.
fn quiet(table: &mut Table<'_>) -> Option<QuietHours> {
    let map = table.object("quiet")?;
    let mut inner = Table::new(map, table.path("quiet"));
    let time = |inner: &mut Table<'_>, key| {
        let time = inner.parse(key, "a time of the day, `22:00` for example", |text| {
            NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "it is no time of the day")
        });
        if time.is_none() && inner.get(key).is_none() {
            inner.error(key, "missing", "a time of the day, `22:00` for example");
        }
        time
    };
    let (from, to) = (time(&mut inner, "from"), time(&mut inner, "to"));
    let mut days: Vec<Weekday> = Vec::new();
    let mut faults = Vec::new();
    let path = inner.path("days");
    for (place, text) in inner.texts("days") {
        match text.parse() {
            Ok(day) if days.contains(&day) => {}
            Ok(day) => days.push(day),
            Err(_) => faults.push(Fault::error(
                path.index(place),
                format!("`{}` is no day", text.escape_debug()),
                "`mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`",
            )),
        }
    }
    let zone = inner.parse("timezone", ZONE_RIGHT, zone);
    let except = policy::severity(&mut inner, "except");
    let sound = inner.sound() && faults.is_empty();
    faults.append(&mut inner.close());
    faults.into_iter().for_each(|fault| table.push(fault));
    // Hours that cannot be read are none: an alert at night is better than one that nobody meant to hold back.
    Some(QuietHours { from: from?, to: to?, days, zone, except }).filter(|_| sound)
}
