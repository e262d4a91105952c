//! Stories in which the clock on the wall is set back.

use super::*;

#[test]
fn a_clock_that_is_set_back_holds_nothing_up_and_brings_nothing_at_once() {
    let every = |seconds| Remind { every: Duration::from_secs(seconds), backoff: 1.0, most: None };
    let reminding = |seconds| Policy { remind: Some(every(seconds)), ..plain() };
    let told = |policy: Policy, before: &str, change: fn(&mut Story), after: &str| {
        let mut story = Story::new(policy);
        story.now += TimeDelta::days(20_000);
        story.happen(before);
        change(&mut story);
        story.now -= TimeDelta::days(400);
        story.happen(after).told.clone()
    };
    let nothing: fn(&mut Story) = |_| ();
    // What was waited for is waited for again, and no longer than that.
    assert_eq!(told(reminding(120), "F-", nothing, "-----P"), "F...R.RP");
    let step = Step { after: Duration::from_secs(180), actions: vec![name("boss")] };
    let escalating = Policy { escalate: vec![step], ..plain() };
    assert_eq!(told(escalating, "F--", nothing, "-----P"), "F.....e.pP");
    // An acknowledgement lasts as long as was meant, or until it changes.
    let for_two_minutes: fn(&mut Story) = |story| {
        let ack = story.state.alert.ack.as_mut().expect("acknowledged");
        ack.until = Some(ack.at + TimeDelta::minutes(2));
    };
    assert_eq!(told(reminding(60), "FA", for_two_minutes, "----"), "F...RR");
    assert_eq!(told(reminding(60), "aA", nothing, "--b-"), "F...CR");
    // What waits for its next run, once what it depends on is well again, does not wait for the time that was before.
    let well_again: fn(&mut Story) = |story| {
        story.hidden = None;
        let hidden = story.state.alert.hidden.as_mut().expect("hidden");
        hidden.until = Some(story.now + Hidden::OUTLASTS);
    };
    assert_eq!(told(plain(), "PDF", well_again, "--"), "...F.");
}

/// A silence goes by the clock on the wall: one that is set back to before it does not hold yet, and holds no longer than it
/// was to.
#[test]
fn a_silence_from_before_a_clock_was_set_back_holds_at_its_time_and_ends() {
    let mut story = Story::new(plain());
    story.now += TimeDelta::days(20_000);
    let span = Span { start: story.now, end: story.now + TimeDelta::minutes(4) };
    let (by, reason) = ("ann".to_owned(), String::new());
    let (pattern, when) = (Pattern::default(), When::Once(span));
    let silence = Silence { kind: SilenceKind::Silence, pattern, when, by, reason };
    let labels = std::collections::BTreeMap::new();
    let subject = Subject { check: "web", agent: "nas", labels: &labels };
    let live = |story: &mut Story, letters: &str| {
        for letter in letters.chars() {
            // Each letter is a minute later.
            story.hidden =
                silence.hides(subject, story.now + TimeDelta::minutes(1), crate::Tz::UTC);
            story.happen(&letter.to_string());
        }
    };
    live(&mut story, "F-");
    story.now -= TimeDelta::minutes(10);
    live(&mut story, "-------");
    // It was told when it did not hold, and an end within it is told after it.
    live(&mut story, "P-----");
    assert_eq!(story.told, "..F..........P.");
}
