//! What must hold of triggers, however they are written.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use fletchck_shared::{
    Tz,
    schedule::{Beat, FIRST_RUN_DELAY, Trigger},
};
use serde_json::Value;

static BERLIN: LazyLock<Tz> = LazyLock::new(|| "Europe/Berlin".parse().expect("a zone"));

/// A trigger in its text form.
pub(super) fn trigger_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(trigger) = text.parse::<Trigger>() {
        holds(trigger);
    }
}

/// A trigger as it stands in a configuration.
pub(super) fn trigger_json(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    if let Ok(trigger) = Trigger::from_json(&value) {
        assert_eq!(trigger.to_json(), value);
        holds(trigger);
    }
}

fn holds(trigger: Trigger) {
    let text = trigger.to_string();
    let read =
        |text: &str| -> Trigger { text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}")) };
    let again = read(&text);
    assert_eq!(again, trigger, "{text}");
    // From here on in one form.
    let text = again.to_string();
    assert_eq!(read(&text).to_string(), text);
    assert_eq!(Trigger::from_json(&trigger.to_json()).as_ref(), Ok(&trigger));
    for year in ["1970-01-01T00:00:00Z", "2026-10-25T00:30:00.5Z", "9998-12-31T23:59:59Z"] {
        points(&trigger, year.parse().expect("a time"));
    }
    beats(trigger);
}

/// Each point lies after the one before, and none is passed over by asking from just before it.
fn points(trigger: &Trigger, from: DateTime<Utc>) {
    let anchor = "2026-01-01T00:00:00Z".parse().expect("a time");
    let mut at = from;
    for _ in 0..4 {
        let Some(next) = trigger.next_after(at, anchor, *BERLIN) else { return };
        assert!(next > at, "{next} after {at}");
        let middle = at + (next - at) / 2;
        assert_eq!(trigger.next_after(middle, anchor, *BERLIN), Some(next));
        at = next;
    }
}

/// A check that keeps the trigger's beat falls due, each time later than before.
fn beats(trigger: Trigger) {
    let now: DateTime<Utc> = "2026-11-23T10:00:00Z".parse().expect("a time");
    let mut beat = Beat::start(Arc::new(trigger), *BERLIN, now, None, now + FIRST_RUN_DELAY, 0.5);
    let mut before = now;
    for sample in [0.0, 1.0, 0.5] {
        let Some(due) = beat.due() else { return };
        assert!(due >= before, "{due} after {before}");
        before = due;
        beat.fired(due, sample);
    }
    _ = beat.mark();
}
