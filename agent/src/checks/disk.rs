//! `disk`: space used on one volume.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use fletchck_shared::Outcome;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    aside::Aside,
    limit::{Limit, PERCENT, WARN, WARN_ALERTS, amounts, padded},
};

/// The entry of `disk` in the table.
pub const KIND: Kind = Kind {
    name: "disk",
    summary: "space used on one volume",
    options: &[
        Opt::text("volume", "/", "path of any directory on the volume"),
        Opt::number("level", "90", "limit of the space used, percent"),
        Opt::number(
            "hysteresis",
            "2",
            "a failing check passes once it is this far below the level, percent",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "The volume is mounted where it is looked for, its file system answers, and less of it is used than the level.",
        leaves_open: "Whether writing works, whether inodes are left, and how healthy the medium is.",
        failure: "The sentence says how full it is and from where on it is well again. A file server that is gone fails after 5 seconds.",
        matters: "`volume` for the file system that fills, `level`, and `warn` for time to act.",
    },
    example: r#"{"type": "disk", "trigger": {"interval": {"minutes": 10}}, "options": {"volume": "/", "level": 85}}"#,
    build,
};

/// Longest wait for a volume. One that is local answers within a millisecond, one on a dead file server never.
const PATIENCE: Duration = Duration::from_secs(10);

struct Disk {
    volume: PathBuf,
    limit: Limit,
    aside: Aside,
}

/// Space of one volume, in bytes.
#[derive(Debug, PartialEq)]
struct Space {
    total: u64,
    used: u64,
    free: u64,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let volume = options.text("volume").unwrap_or("/");
    if !volume.starts_with('/') {
        options.fault("volume", "it is no absolute path", "a path that begins with `/`");
    }
    let limit = Limit::read(options, &PERCENT, 90.0, 2.0);
    let volume = volume.into();
    Some(Plan::Probe(Arc::new(Disk { volume, limit, aside: Aside::default() })))
}

#[async_trait]
impl Probe for Disk {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let volume = self.volume.display();
        let path = self.volume.clone();
        let space = match self.aside.ask(PATIENCE, move || space(&path)).await {
            Ok(Ok(space)) => space,
            Ok(Err(error)) => return failed(words(&self.volume, &error)),
            Err(error) => return failed(format!("{volume} {error}")),
        };
        if space.total == 0 {
            return failed(format!("{volume} has no blocks: there is no space to measure"));
        }
        let percent = 100.0 * space.used as f64 / space.total as f64;
        let amounts = amounts(space.used, space.total, space.free, "Free");
        let line = format!("{volume}: {} {amounts}, {}", padded(percent), self.limit.target());
        self.limit.judge(&volume.to_string(), percent, "full", look.before).log([line])
    }

    fn limit(&self) -> Duration {
        PATIENCE + Duration::from_secs(1)
    }

    fn local(&self) -> bool {
        true
    }
}

fn failed(text: String) -> Outcome {
    Outcome::fail(text.clone()).log([text])
}

/// Space of a volume from `statvfs(3)`, counted as `df` does: what is reserved for root is neither used nor free.
fn space(volume: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(volume)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space {
        total: bytes(stat.f_blocks),
        used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
        free: bytes(stat.f_bavail),
    })
}

fn words(volume: &Path, error: &io::Error) -> String {
    let volume = volume.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("{volume} does not exist: is the volume mounted?"),
        io::ErrorKind::PermissionDenied => {
            format!("{volume} cannot be looked at: this user may not ({error})")
        }
        _ => format!("{volume} cannot be looked at: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::Verdict;
    use serde_json::json;

    use crate::checks::testing::{faults, look, probe};

    #[tokio::test]
    async fn a_volume_tells_its_level_in_the_forms_of_the_original() {
        let outcome = look(&*probe("disk", json!({"volume": "/", "level": 100}))).await;
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        let line = &outcome.log[0];
        assert!(line.starts_with("/: ") && line.ends_with(" Free, Target: 100%"), "{line}");
        let level = outcome.level.expect("a level");
        assert!(level.len() >= 3 && line.contains(&format!("/: {level} ")), "{level:?} {line}");
    }

    #[tokio::test]
    async fn a_missing_volume_and_one_without_blocks_fail_in_plain_words() {
        let missing = look(&*probe("disk", json!({"volume": "/no/such"}))).await;
        assert_eq!(missing.verdict, Verdict::Fail);
        assert_eq!(missing.text, "/no/such does not exist: is the volume mounted?");
        let empty = look(&*probe("disk", json!({"volume": "/proc"}))).await;
        assert_eq!(empty.text, "/proc has no blocks: there is no space to measure");
    }

    #[test]
    fn options_are_judged() {
        assert_eq!(faults("disk", json!({"volume": "data"})), ["volume"]);
        assert_eq!(
            faults("disk", json!({"level": 900, "hysteresis": "2"})),
            ["level", "hysteresis"]
        );
        assert_eq!(faults("disk", json!({"level": 1})), ["hysteresis"]);
    }
}
