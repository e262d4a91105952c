//! All units that have failed.

use fletchck_shared::Outcome;
use tokio::time::Instant;

use super::{
    super::{Look, net::Steps, quantity::time_words},
    Systemd,
    ask::Systemctl,
    show::{PROPERTIES, Unit, failed_units},
};

/// Most units that are asked why they failed, and most that the sentence names.
const ASKED: usize = 20;
const NAMED: usize = 3;

impl Systemd {
    pub(super) async fn look_for_failed(
        &self,
        pattern: Option<&str>,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<Outcome, String> {
        let end = Instant::now() + self.systemctl.timeout;
        let mut arguments =
            vec!["list-units", "--state=failed", "--plain", "--full", "--no-legend"];
        arguments.extend(pattern.map(|pattern| ["--", pattern]).into_iter().flatten());
        let answer = self.systemctl.ask(&arguments, end, steps).await?;
        let all = failed_units(&answer);
        let (ignored, failed): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|unit| self.ignore.iter().any(|pattern| pattern.matches(unit)));
        let which = pattern.map_or(String::new(), |pattern| format!(" that matches `{pattern}`"));
        let also = match ignored.len() {
            0 => String::new(),
            count => format!(" ({count} ignored)"),
        };
        let ignored = ignored.iter().map(|unit| format!("{unit}: failed, ignored"));
        if failed.is_empty() {
            let outcome = Outcome::pass(format!("no unit{which} has failed{also}"));
            return Ok(outcome.level("0 failed").log(ignored));
        }
        let mut arguments = vec!["show", PROPERTIES, "--"];
        arguments.extend(failed.iter().take(ASKED).map(String::as_str));
        // What is known is told, even if the reasons are not.
        let reasons = self.systemctl.ask(&arguments, end, steps).await;
        let units = reasons.map(|answer| Unit::read_all(&answer)).unwrap_or_default();
        let unit = |name: &str| units.iter().find(|unit| unit.id == *name);
        let named = |name: &String| match unit(name) {
            Some(unit) => format!("{name} {}", unit.end()),
            None => name.clone(),
        };
        let count = failed.len();
        let some: Vec<_> = failed.iter().take(NAMED).map(named).collect();
        let more = match count.saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let least = if Systemctl::cut(&answer) { "at least " } else { "" };
        let words = match count {
            1 => format!("a unit{which} has failed"),
            _ => format!("{least}{count} units{} have failed", which.replace("matches", "match")),
        };
        let line = |name: &String| {
            let since = unit(name).and_then(|unit| unit.since);
            let long = since.and_then(|since| (look.now - since).to_std().ok());
            let ago = long.map_or(String::new(), |long| format!(", {} ago", time_words(long)));
            format!("{}{ago}", named(name))
        };
        let user = if self.systemctl.user { " --user" } else { "" };
        let outcome = Outcome::fail(format!(
            "{words}{also}: {}{more}; see `systemctl{user} --failed`",
            some.join(", ")
        ));
        Ok(outcome.level(format!("{count} failed")).log(failed.iter().map(line).chain(ignored)))
    }
}
