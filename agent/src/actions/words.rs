//! The words of a letter: its title and its text, from templates that their owner may replace.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{Severity, policy::News, time, wire::PRESENCE};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, syntax::SyntaxConfig};
use serde_json::{Value, json};

use super::{Entry, Letter, Notice};
use crate::options::{Opt, Options};

const TITLE: &str = include_str!("templates/title.txt");
const TEXT: &str = include_str!("templates/text.txt");
const PAGE: &str = include_str!("templates/page.html");

/// Most checks that a letter tells of one by one; it counts the others.
const SHOWN: usize = 30;

/// Most lines of a log that are told.
const LINES: usize = 40;

/// Work that a template may do, in steps of its engine: a loop without end is none that anybody waits for.
const FUEL: u64 = 1_000_000;

/// Option for a title of one's own.
pub(super) const TITLE_OPT: Opt =
    Opt::text("title", "see below", "template of the title, in the language of Jinja");

/// Option for a text of one's own.
pub(super) const TEXT_OPT: Opt =
    Opt::text("text", "see below", "template of the text, in the language of Jinja");

/// Templates of title and text.
#[derive(Clone)]
pub(super) struct Words {
    engine: Arc<Environment<'static>>,
    /// Whether the text is its owner's, so that no page says the same.
    own_text: bool,
}

/// The words of the program.
static OWN: LazyLock<Words> =
    LazyLock::new(|| Words::with(TITLE.into(), TEXT.into()).expect("our own templates are right"));

/// A title and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) title: String,
    pub(super) text: String,
}

impl Words {
    /// The templates of these options, or else the ones that come with the program.
    pub(super) fn of(options: &mut Options<'_>) -> Self {
        Self::replaced(options, &[("title", "title.txt"), ("text", "text.txt")])
    }

    fn replaced(options: &mut Options<'_>, templates: &[(&'static str, &'static str)]) -> Self {
        let mut words = OWN.clone();
        for &(name, file) in templates {
            let Some(template) = options.any_text(name).map(str::to_owned) else { continue };
            words.own_text |= name == "text";
            let engine = Arc::make_mut(&mut words.engine);
            let wrong = match engine.add_template_owned(file, template) {
                Err(e) => Some(e.to_string()),
                Ok(()) => words.say(&example()).err(),
            };
            if let Some(wrong) = wrong {
                options.fault(name, wrong, "a template, as `docs/actions.md` describes them");
                break;
            }
        }
        words
    }

    /// As [`Words::of`], for what has a text and no title.
    pub(super) fn body(options: &mut Options<'_>) -> Self {
        Self::replaced(options, &[("text", "text.txt")])
    }

    fn with(title: String, text: String) -> Result<Self, minijinja::Error> {
        // A line with nothing but a statement on it leaves none.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Lenient);
        engine.set_fuel(Some(FUEL));
        engine.set_syntax(syntax);
        engine.set_auto_escape_callback(|name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        });
        engine.add_template_owned("title.txt", title)?;
        engine.add_template_owned("text.txt", text)?;
        engine.add_template("page.html", PAGE)?;
        Ok(Self { engine: Arc::new(engine), own_text: false })
    }

    /// The title, on one line, and the text of a letter.
    ///
    /// # Errors
    /// What a template of its owner's does wrong.
    pub(super) fn say(&self, letter: &Letter) -> Result<Said, String> {
        self.say_of(&mut context(letter))
    }

    fn say_of(&self, about: &mut Value) -> Result<Said, String> {
        let title = self.render("title.txt", about)?;
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        about["title"] = title.as_str().into();
        let text = self.render("text.txt", about)?.trim().to_owned();
        Ok(Said { title, text })
    }

    /// As [`Words::say`], with the words of the program where those of its owner fail: a wrong template is no reason to
    /// tell nobody.
    pub(super) fn say_somehow(&self, letter: &Letter) -> Said {
        self.say(letter).unwrap_or_else(|wrong| {
            let mut said = OWN.say(letter).unwrap_or_else(|wrong| Said {
                title: format!("[{}] alert", letter.site),
                text: wrong,
            });
            said.text.push_str(&format!("\n\nThe template of this action is wrong: {wrong}"));
            said
        })
    }

    /// The text of a letter as a page of HTML. `None` where the text is its owner's.
    pub(super) fn page(&self, letter: &Letter) -> Option<String> {
        if self.own_text {
            return None;
        }
        self.render("page.html", &about(letter)).ok()
    }

    fn render(&self, name: &str, about: &Value) -> Result<String, String> {
        let template = self.engine.get_template(name).map_err(|e| e.to_string())?;
        template.render(minijinja::value::Serde(about)).map_err(|e| e.to_string())
    }
}

/// A text as it stands in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What a template knows of a letter, and what is sent as it is where a program is told. With it goes what the program
/// would say itself, as `title` and `message`.
pub(super) fn context(letter: &Letter) -> Value {
    let mut about = about(letter);
    if let Ok(said) = OWN.say_of(&mut about) {
        about["message"] = said.text.into();
    }
    about
}

fn about(letter: &Letter) -> Value {
    let failing = letter.entries.iter().filter(|e| e.notice.severity != Severity::Ok).count();
    let entries: Vec<Value> =
        letter.entries.iter().take(SHOWN).map(|entry| of_entry(entry, letter)).collect();
    json!({
        "v": 1,
        "site": letter.site,
        "id": letter.id,
        "incident": letter.incident(),
        "link": letter.link,
        "severity": letter.severity(),
        "count": letter.entries.len(),
        "failing": failing,
        "passing": letter.entries.len() - failing,
        "left_out": letter.entries.len().saturating_sub(SHOWN),
        "title": "",
        "message": "",
        "entries": entries,
    })
}

/// What a template knows of one check.
pub(super) fn of_entry(entry: &Entry, letter: &Letter) -> Value {
    let notice = &entry.notice;
    let mut about = of_notice(notice);
    about["link"] = letter.page_of(notice).into();
    about["over"] = entry.over().into();
    about["earlier"] = entry.earlier.iter().map(of_notice).collect();
    // A digest of many would bury what matters.
    let lines = if letter.entries.len() > 1 { 3 } else { LINES };
    about["log"] = notice.log.iter().take(lines).cloned().collect();
    about
}

fn of_notice(notice: &Notice) -> Value {
    let zone = notice.zone;
    let said = |at: DateTime<Utc>| time::people(at, zone);
    let lasted = notice.since.map(|since| span(notice.at - since));
    json!({
        "check": notice.check.as_str(),
        "agent": notice.agent,
        "type": notice.kind,
        "state": notice.word(),
        "news": notice.news,
        "says": says(notice),
        "severity": notice.severity,
        "about": notice.about,
        "text": notice.text,
        "level": notice.level.as_deref().map(str::trim),
        "at": said(notice.at),
        "at_iso": time::iso(notice.at, zone),
        "since": notice.since.map(said),
        "since_iso": notice.since.map(|at| time::iso(at, zone)),
        "last_good": notice.last_good.map(said),
        "lasted": lasted,
        "members": notice.members.iter().map(|member| json!({
            "name": member.name, "soft": member.soft, "level": member.level.as_deref().map(str::trim),
        })).collect::<Vec<_>>(),
    })
}

/// What happened, as the predicate of a sentence whose subject is the check.
fn says(notice: &Notice) -> &'static str {
    match (notice.news, notice.severity) {
        (News::Test, _) => "is a test",
        (News::Flapping, _) => "goes back and forth",
        (News::Steady, Severity::Ok) => "is well again, and steady",
        (_, Severity::Ok) if notice.kind == PRESENCE => "is online again",
        (News::Reminder, _) if notice.kind == PRESENCE => "is still offline",
        (News::Failed, _) if notice.kind == PRESENCE => "is offline",
        (News::Steady, _) => "fails, and no longer goes back and forth",
        (_, Severity::Ok) => "is well again",
        (News::Reminder, Severity::Warning) => "is still worth a look",
        (News::Reminder, _) => "still fails",
        (News::Escalated, Severity::Warning) => "is worth a look, and nobody has taken it on",
        (News::Escalated, _) => "fails, and nobody has taken it on",
        (News::Acknowledged, _) => "fails, and somebody has taken it on",
        (News::Changed, _) => "fails in another way",
        (_, Severity::Warning) => "is worth a look",
        (_, Severity::Critical) => "fails",
    }
}

/// A span of time as people say it.
fn span(time: TimeDelta) -> String {
    match time.num_seconds().max(0) {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => match (seconds / 3600, seconds / 60 % 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A letter to try templates with.
fn example() -> Letter {
    let notice = Notice {
        site: "Fletchck".into(),
        check: fletchck_shared::CheckName::try_from("web").expect("a name"),
        agent: None,
        kind: "https".into(),
        news: News::Failed,
        severity: Severity::Critical,
        about: Severity::Critical,
        at: DateTime::UNIX_EPOCH,
        since: Some(DateTime::UNIX_EPOCH),
        last_good: None,
        text: "no answer".into(),
        level: None,
        log: vec!["no answer".into()],
        members: Vec::new(),
        zone: fletchck_shared::Tz::UTC,
    };
    Letter::of([notice], "example", None).expect("one notice")
}

#[cfg(test)]
mod tests;
