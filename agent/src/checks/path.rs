//! `path`: a file or folder, or all that match a pattern: whether they are there, how old and how large they are.

mod find;
mod judge;
mod rule;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use fletchck_shared::Outcome;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe, Shape,
    aside::Aside,
    limit::WARN_ALERTS,
    quantity::{bytes, duration},
};
use find::{FindError, Form, Place};
use judge::Tally;
use rule::Rule;

/// The entry of `path` in the table.
pub const KIND: Kind = Kind {
    name: "path",
    summary: "a file or a folder, or those that match a pattern: whether they are there, their age, size and number",
    options: &[
        Opt::text("path", "required", "absolute path; `*`, `?` and `[a-z]` match within one name"),
        Opt::flag("exists", "true", "whether it must be there; with `false` it must not"),
        Opt::choice("kind", &["any", "file", "folder"], "any", "what counts"),
        Opt::choice(
            "which",
            &["newest", "oldest", "every"],
            "newest",
            "whose age and size are judged where a pattern matches several",
        ),
        Opt::text(
            "maxAge",
            "none",
            "longest time since its last change, as in `26 h`; a number is seconds",
        ),
        Opt::text("minAge", "none", "shortest time since its last change"),
        Opt::text("minSize", "none", "smallest size, as in `1 MB`; a number is bytes"),
        Opt::text("maxSize", "none", "largest size"),
        Opt::text("warnAge", "none", "time since its last change over which a pass is a warning"),
        Opt::text("warnSize", "none", "size over which a pass is a warning"),
        WARN_ALERTS,
        Opt::number("minCount", "none", "fewest that a pattern may match"),
        Opt::number("maxCount", "none", "most that a pattern may match"),
        Opt::new("timeout", Shape::Seconds, "10", "longest wait for the file system"),
    ],
    answers: Answers {
        proves: "The file is there (or is not, as was asked), and its age, size and number are within what is allowed. A backup that ran and wrote something looks like this.",
        leaves_open: "Whether the content is any good. To read a log see `file`.",
        failure: "The sentence names the file and what is wrong with it, or says that nothing matches: see whether the job that writes it still runs, and whether the volume is mounted.",
        matters: "`path` with a pattern for files that carry a date in their name, `maxAge` a little above the job's interval, `minSize` against empty ones; `which` = `oldest` and `maxCount` for a queue that must be worked off.",
    },
    example: r#"{"type": "path", "trigger": {"cron": {"hour": 8}}, "options": {"path": "/var/backups/db-*.gz", "maxAge": "26 h", "minSize": "1 MB"}}"#,
    build,
};

/// How much longer the search is waited for than it may take.
const MARGIN: Duration = Duration::from_millis(50);

struct PathCheck {
    text: String,
    place: Place,
    exists: bool,
    which: Which,
    rule: Rule,
    alerts: bool,
    timeout: Duration,
    aside: Aside,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Newest,
    Oldest,
    Every,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let text = options.required_text("path").unwrap_or("/").to_owned();
    if !text.starts_with('/') {
        options.fault("path", "it is no absolute path", "a path that begins with `/`");
    }
    if text.contains("**") {
        options.fault(
            "path",
            "`**` matches no deeper than `*`",
            "one `*/` for each folder on the way",
        );
    }
    let place = match Place::read(&text) {
        Ok(place) => Some(place),
        Err(error) => {
            options.fault(
                "path",
                format!("the pattern is wrong: {error}"),
                "`[[]` for a `[` in a name",
            );
            None
        }
    };
    let exists = options.flag("exists", true);
    let form = match options.choice("kind", &["any", "file", "folder"]) {
        Some("file") => Some(Form::File),
        Some("folder") => Some(Form::Folder),
        _ => None,
    };
    let which = match options.choice("which", &["newest", "oldest", "every"]) {
        Some("oldest") => Which::Oldest,
        Some("every") => Which::Every,
        _ => Which::Newest,
    };
    let mut count = |name| {
        let most = 1_000_000_000.0;
        options.number(name, 0.0..=most, "a whole number").map(|number| number as u64)
    };
    let count = (count("minCount"), count("maxCount"));
    let rule = Rule {
        form,
        age: (duration(options, "minAge"), duration(options, "maxAge")),
        size: (bytes(options, "minSize"), bytes(options, "maxSize")),
        count,
        warn: (duration(options, "warnAge"), bytes(options, "warnSize")),
    };
    too_late(options, "warnAge", rule.warn.0, rule.age.1, "less than `maxAge`");
    too_late(options, "warnSize", rule.warn.1, rule.size.1, "less than `maxSize`");
    let alerts = options.flag("warnAlerts", false);
    contrary(options, "minAge", rule.age);
    contrary(options, "minSize", rule.size);
    contrary(options, "minCount", rule.count);
    if !exists {
        for name in [
            "maxAge", "minAge", "minSize", "maxSize", "minCount", "maxCount", "warnAge", "warnSize",
        ] {
            if options.given(name) {
                options.warning(name, "what must not be there is not judged", "`exists` = true");
            }
        }
    }
    let timeout = options.seconds("timeout", 10);
    let aside = Aside::default();
    let place = place?;
    let check = PathCheck { text, place, exists, which, rule, alerts, timeout, aside };
    Some(Plan::Probe(Arc::new(check)))
}

fn too_late<T: PartialOrd>(
    options: &mut Options<'_>,
    name: &'static str,
    warn: Option<T>,
    most: Option<T>,
    right: &str,
) {
    if warn.zip(most).is_some_and(|(warn, most)| warn >= most) {
        options.warning(name, "it fails before it warns", right);
    }
}

fn contrary<T: PartialOrd>(
    options: &mut Options<'_>,
    name: &'static str,
    range: (Option<T>, Option<T>),
) {
    if range.0.zip(range.1).is_some_and(|(least, most)| least > most) {
        options.fault(name, "nothing can be both: it is more than the most", "less than the most");
    }
}

#[async_trait]
impl Probe for PathCheck {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let now = SystemTime::from(look.now);
        let (place, rule) = (self.place.clone(), self.rule.clone());
        let end = Instant::now() + self.timeout;
        let search = move || {
            let mut tally = Tally::default();
            place.search(end, &mut |found| tally.add(found, &rule, now)).map(|()| tally)
        };
        // A search that is slow ends by itself, and says more than a call that does not return.
        match self.aside.ask(self.timeout + MARGIN, search).await {
            Ok(Ok(tally)) => self.judge(tally, now),
            Ok(Err(error)) => Outcome::fail(match &error {
                FindError::Io { .. } => format!("{error}; may this program read it?")
                    .replace(char::is_control, "\u{fffd}"),
                FindError::Late(_) => format!("{}: {error}", self.text),
            }),
            Err(error) => Outcome::fail(format!("{} {error}", self.text)),
        }
    }

    fn limit(&self) -> Duration {
        self.timeout + Duration::from_secs(1)
    }

    fn local(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
