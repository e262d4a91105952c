use fletchck_shared::Severity;
use serde_json::json;

use super::*;
use crate::actions::testing::{letter, notice};

fn all_of(letter: &Letter) -> String {
    let said = OWN.say(letter).expect("our own templates are right");
    format!("{}\n---\n{}\n", said.title, said.text)
}

fn of(news: News) -> String {
    all_of(&letter([notice("web", news)]))
}

/// A failure and what ended it, none of which was told.
fn folded() -> Letter {
    letter([notice("web", News::Failed), notice("web", News::Recovered)])
}

#[test]
fn each_news_in_words() {
    insta::assert_snapshot!(of(News::Failed), @r#"
    [home] FAIL: web (https)
    ---
    web fails: no answer within 10 s
    Since 26 Nov 2026 12:00 UTC; last well 26 Nov 2026 11:00 UTC.
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(of(News::Recovered), @r#"
    [home] PASS: web (https)
    ---
    web is well again: 200 OK in 31 ms
    It failed for 2 h, since 26 Nov 2026 12:00 UTC.
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(of(News::Reminder), @r#"
    [home] FAIL: web (https), for 2 h
    ---
    web still fails: no answer within 10 s
    Since 26 Nov 2026 12:00 UTC, for 2 h; last well 26 Nov 2026 11:00 UTC.
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(of(News::Escalated), @r#"
    [home] FAIL: web (https), for 2 h
    ---
    web fails, and nobody has taken it on: no answer within 10 s
    Since 26 Nov 2026 12:00 UTC, for 2 h; last well 26 Nov 2026 11:00 UTC.
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(of(News::Flapping), @r#"
    [home] FLAPPING: web (https)
    ---
    web goes back and forth: no answer within 10 s
    Since 26 Nov 2026 12:00 UTC, for 2 h; last well 26 Nov 2026 11:00 UTC.
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(of(News::Steady), @r#"
    [home] PASS: web (https)
    ---
    web is well again, and steady: 200 OK in 31 ms
    It failed for 2 h, since 26 Nov 2026 12:00 UTC.
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(of(News::Changed), @r#"
    [home] FAIL: web (https)
    ---
    web fails in another way: no answer within 10 s
    Since 26 Nov 2026 12:00 UTC, for 2 h; last well 26 Nov 2026 11:00 UTC.
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(of(News::Test), @r#"
    [home] TEST: web (https)
    ---
    This is a test: ann tries whether this way of telling works: it does
    https://hub.example

    connected to 192.0.2.1 in 3 ms
    "#);
    insta::assert_snapshot!(all_of(&folded()), @r#"
    [home] PASS: web (https), after 2 h of failure
    ---
    web is well again: 200 OK in 31 ms
    It failed for 2 h, since 26 Nov 2026 12:00 UTC.
    Nobody was told then: no answer within 10 s
    https://hub.example/check/web

    connected to 192.0.2.1 in 3 ms
    "#);
}

#[test]
fn a_warning_of_an_agent_with_a_level_and_no_pages() {
    let mut disk = notice("attic/disk", News::Failed);
    (disk.severity, disk.about) = (Severity::Warning, Severity::Warning);
    disk.agent = Some("attic".into());
    disk.kind = "disk".into();
    disk.text = "/var is 91 % full, more than 90 %".into();
    disk.level = Some("91 %".into());
    disk.log = vec![disk.text.clone()];
    let letter = Letter::of([disk], "to", None).expect("a notice");
    insta::assert_snapshot!(all_of(&letter), @r#"
    [home] WARN: attic/disk (disk)
    ---
    attic/disk is worth a look: /var is 91 % full, more than 90 %
    Since 26 Nov 2026 12:00 UTC; last well 26 Nov 2026 11:00 UTC.
    Seen by attic.
    Level: 91 %
    "#);
}

#[test]
fn a_digest_of_a_few() {
    let mut disk = notice("disk", News::Failed);
    disk.severity = Severity::Warning;
    disk.text = "/var is 91 % full".into();
    let digest = [notice("web", News::Failed), disk, notice("mail", News::Recovered)];
    insta::assert_snapshot!(all_of(&letter(digest)), @r#"
    [home] FAIL: 2 checks fail, 1 is well again
    ---
    FAIL web: no answer within 10 s
    WARN disk: /var is 91 % full
    PASS mail: 200 OK in 31 ms (failed for 2 h)

    https://hub.example
    "#);
    let well = ["a", "b"].map(|name| notice(name, News::Recovered));
    insta::assert_snapshot!(all_of(&letter(well)), @r#"
    [home] PASS: 2 checks are well again
    ---
    PASS a: 200 OK in 31 ms (failed for 2 h)
    PASS b: 200 OK in 31 ms (failed for 2 h)

    https://hub.example
    "#);
}

#[test]
fn a_digest_of_a_thousand_is_short() {
    let all = (0..1000).map(|number| notice(&format!("check {number}"), News::Failed));
    let said = all_of(&letter(all));
    assert_eq!(said.lines().count(), SHOWN + 5);
    assert!(
        said.starts_with("[home] FAIL: 1000 checks fail\n---\nFAIL check 0: no answer"),
        "{said}"
    );
    assert!(said.ends_with("\nand 970 more\n\nhttps://hub.example\n"), "{said}");
}

#[test]
fn a_page_says_the_same() {
    insta::assert_snapshot!(OWN.page(&letter([notice("web", News::Failed)])).expect("a page"), @r#"
    <!DOCTYPE html>
    <html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>
    <body style="font-family: sans-serif; line-height: 1.4">
    <h2 style="font-size: 1.1em; margin: 1em 0 0"><span style="color: #b3261e">FAIL</span>
    <a href="https:&#x2f;&#x2f;hub.example&#x2f;check&#x2f;web" style="color: inherit">web</a>
    <small style="font-weight: normal">https</small></h2>
    <p style="margin: .2em 0">no answer within 10 s</p>
    <p style="margin: .2em 0"><small>Since 26 Nov 2026 12:00 UTC; last well 26 Nov 2026 11:00 UTC.</small></p>
    <pre style="white-space: pre-wrap">connected to 192.0.2.1 in 3 ms
    </pre></body></html>
    "#);
    insta::assert_snapshot!(OWN.page(&folded()).expect("a page"), @r#"
    <!DOCTYPE html>
    <html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>
    <body style="font-family: sans-serif; line-height: 1.4">
    <h2 style="font-size: 1.1em; margin: 1em 0 0"><span style="color: #1b6e3c">PASS</span>
    <a href="https:&#x2f;&#x2f;hub.example&#x2f;check&#x2f;web" style="color: inherit">web</a>
    <small style="font-weight: normal">https</small></h2>
    <p style="margin: .2em 0">200 OK in 31 ms</p>
    <p style="margin: .2em 0"><small>It failed for 2 h, since 26 Nov 2026 12:00 UTC.</small></p>
    <p style="margin: .2em 0"><small>Nobody was told then: no answer within 10 s</small></p>
    <pre style="white-space: pre-wrap">connected to 192.0.2.1 in 3 ms
    </pre></body></html>
    "#);
}

#[test]
fn nothing_in_a_page_is_taken_for_mark_up() {
    let mut bad = notice("<b>&", News::Failed);
    bad.text = "<script>alert(1)</script>".into();
    bad.log = vec!["</pre><img src=x>".into()];
    let page = OWN.page(&letter([bad])).expect("a page");
    for mark in ["<script", "<img", "<b>", "</pre><i"] {
        assert!(!page.contains(mark), "{page}");
    }
    assert!(page.contains("%3Cb%3E%26\""), "{page}");
}

fn own(options: &Value) -> (Option<Said>, Vec<String>) {
    const KNOWN: &[Opt] = &[TITLE_OPT, TEXT_OPT];
    let options = options.as_object().expect("options");
    let letter = letter([notice("web", News::Failed)]);
    let (said, faults) =
        Options::read(options, KNOWN, |options| Some(Words::of(options).say_somehow(&letter)));
    (said, faults.into_iter().map(|fault| format!("{}: {}", fault.option, fault.wrong)).collect())
}

#[test]
fn templates_of_ones_own_are_used() {
    let (said, faults) = own(&json!({
        "title": "{{ entries[0].check | upper }}\n is {{ severity }}",
        "text": "{{ title }}! {{ {\"said\": entries[0].text} | tojson }}\n{{ message }}",
    }));
    assert_eq!(faults, Vec::<String>::new());
    let said = said.expect("words");
    assert_eq!(said.title, "WEB is critical");
    let text = "WEB is critical! {\"said\": \"no answer within 10 s\"}\nweb fails: no answer within 10 s\n";
    assert!(said.text.starts_with(text), "{}", said.text);
}

#[test]
fn wrong_templates_are_faults_with_their_place() {
    let (none, faults) = own(&json!({"text": "fine\n{% if %}"}));
    assert_eq!(none, None);
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].starts_with("text: syntax error") && faults[0].contains("text.txt:2"),
        "{faults:?}"
    );
    let (_, faults) = own(&json!({"title": "{{ nothing | no_such_filter }}"}));
    assert!(faults[0].contains("no_such_filter"), "{faults:?}");
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}";
    let (_, faults) = own(&json!({ "text": endless }));
    assert!(faults[0].contains("fuel"), "{faults:?}");
}

#[test]
fn a_template_that_fails_for_one_letter_tells_it_all_the_same() {
    let only = "{% if entries[0].check != 'web' %}{{ 1 // 0 }}{% endif %}fine";
    let options = json!({ "text": only });
    let (words, faults) = Options::read(
        options.as_object().expect("options"),
        const { &[TITLE_OPT, TEXT_OPT] },
        |options| Some(Words::of(options)),
    );
    assert!(faults.is_empty(), "{faults:?}");
    let said = words.expect("words").say_somehow(&letter([notice("mail", News::Failed)]));
    assert!(said.text.starts_with("mail fails: no answer"), "{}", said.text);
    assert!(said.text.contains("\n\nThe template of this action is wrong: "), "{}", said.text);
}

#[test]
fn spans_are_said_as_people_say_them() {
    for (seconds, said) in [
        (-5, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (9059, "2 h 30 min"),
        (200_000, "2 days"),
    ] {
        assert_eq!(span(TimeDelta::seconds(seconds)), said);
    }
}
