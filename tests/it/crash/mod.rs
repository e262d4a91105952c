//! kill -9 at random times: what is stored is whole, and what was to be told is told.

mod publishing;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use fletchck_agent::store::Store;
use fletchck_shared::{CheckName, Condition};
use fletchck_tests::{
    fault,
    fletchck::{Fletchck, Program},
    wait::{self, PATIENCE},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

/// Times the program is killed.
const KILLS: u32 = 30;

/// What the store holds of one check.
#[derive(Debug)]
struct Seen {
    told: Vec<String>,
    undelivered: i64,
}

fn seen(store: &Path, check: &str) -> Result<Seen> {
    let db = rusqlite::Connection::open(store)?;
    db.busy_timeout(Duration::from_secs(5))?;
    let mut select = db.prepare(
        "SELECT json_extract(entry, '$.kind') FROM transitions WHERE name = ?1 ORDER BY id",
    )?;
    let told = select.query_map([check], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let undelivered = db.query_row("SELECT count(*) FROM deliveries", (), |row| row.get(0))?;
    Ok(Seen { told, undelivered })
}

/// What the log action was told of a check, in order.
fn told(log: &str, check: &str) -> Vec<&'static str> {
    let word = |line: &str| {
        let says = |word: &&str| line.contains(&format!("{check} (disk): {word}"));
        ["FAIL", "PASS"].into_iter().find(says)
    };
    log.lines().filter_map(word).collect()
}

/// What an action is to be told that is not there in every life.
#[derive(Debug, Default)]
struct Absent {
    /// Whether it was told last that the check fails.
    knows: bool,
    /// What it is to be told, in order.
    expected: Vec<&'static str>,
    /// Transitions before this life.
    past: usize,
}

impl Absent {
    /// A life that ended with these transitions. Where the action is there, it is told at the beginning what it missed, if
    /// that is not over.
    fn live(&mut self, transitions: &[String], there: bool) {
        let (before, new) = transitions.split_at(self.past);
        self.past = transitions.len();
        let stands = before.last().into_iter().chain(new).filter(|_| there);
        for fails in stands.map(|kind| kind == "failed") {
            if fails != self.knows {
                self.expected.push(if fails { "FAIL" } else { "PASS" });
                self.knows = fails;
            }
        }
    }

    /// Whether it was told all of that in order, between what it was told twice.
    fn was_told(&self, lines: &[&str]) -> bool {
        let mut lines = lines.iter();
        self.expected.iter().all(|expected| lines.any(|line| line == expected))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_killed_at_random_times_goes_on_where_it_was() -> Result<()> {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let target = tempfile::tempdir()?;
    let volume = target.path().join("volume");
    // In one life of three nobody listens where the action `later` tells: what it is to tell waits until somebody does.
    // In another one there is no action `apart` at all: what it is to be told of the same volume waits until it is there.
    let config = |later: bool, apart: bool| {
        let later = if later {
            json!({ "type": "log" })
        } else {
            let nobody = format!("http://127.0.0.1:{}/", fault::refused());
            json!({ "type": "webhook", "options": { "url": nobody } })
        };
        let mut actions = json!({ "log": { "type": "log" }, "later": later });
        let mut names = json!([]);
        if apart {
            actions["apart"] = json!({ "type": "log" });
            names = json!(["apart"]);
        }
        json!({
            "actions": actions,
            "checks": {
                "absent": {
                    "type": "disk", "trigger": { "interval": { "seconds": 1 } },
                    "options": { "volume": volume, "level": 100 }, "actions": names, "flapping": false,
                },
                "flips": {
                    "type": "disk", "trigger": { "interval": { "seconds": 1 } },
                    "options": { "volume": volume, "level": 100 }, "actions": ["log", "later"],
                    "flapping": false,
                },
                "counts": {
                    "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "threshold": 10_000,
                    "options": { "volume": target.path().join("never") }, "actions": ["log"],
                },
                "ticks": {
                    "type": "memory", "trigger": { "cron": { "second": "*", "jitter": 0 } }, "options": { "level": 100 },
                },
                "daily": { "type": "disk", "trigger": { "interval": { "days": 1 } } },
            },
        })
    };
    let mut site = Fletchck::prepare(Program::Full, &config(true, true))?;
    let store = site.dir().join("fletchck.db");
    let name = |name: &str| CheckName::try_from(name);
    let (flips, daily) = (name("flips")?, name("daily")?);
    let (counts, ticks) = (name("counts")?, name("ticks")?);
    let (mut counted, mut ticked) = (0, None);
    let (mut transitions, mut deliveries) = (0, 0);
    let mut marks = Vec::new();
    let mut log = String::new();
    let mut absent = Absent::default();
    for kill in 0..KILLS {
        let apart = kill % 3 != 1;
        site.write(&config(kill % 3 != 2, apart))?;
        site.restart().await?;
        let life = Duration::from_millis(dice.random_range(0..1800));
        tokio::time::sleep(life / 2).await;
        if volume.exists() {
            fs::remove_dir(&volume)?;
        } else {
            fs::create_dir(&volume)?;
        }
        tokio::time::sleep(life / 2).await;
        // What was said is looked at once nothing more can be.
        let process = site.process()?;
        process.kill();
        let said = process.log();
        site.kill();
        ensure!(apart || told(&said, "absent").is_empty(), "told by nobody: {said}");
        log.push_str(&said);

        let past = Store::read_past(&store).context("the store is whole after every kill")?;
        absent.live(&seen(&store, "absent")?.told, apart);
        let made = seen(&store, "flips")?.told.len();
        deliveries += (made - transitions) * 2;
        transitions = made;
        let Some(row) = past.checks.get(&flips) else { continue };
        let state = &row.state;
        match &state.condition {
            Condition::Pass => ensure!(state.fail_count == 0, "kill {kill}: {state:?}"),
            Condition::Fail(_) => {
                ensure!(
                    state.fail_count > 0 && state.alert.told.len() == 2,
                    "kill {kill}: {state:?}"
                )
            }
            Condition::Unknown => {}
        }
        marks.extend(row.mark.as_ref().map(|mark| mark.at));
        if let Some(row) = past.checks.get(&counts) {
            // It fails each time, so it counts its runs: none is forgotten over a kill, and none invented.
            let seconds = life.as_secs() + 5;
            let is = row.state.fail_count;
            ensure!(is >= counted, "kill {kill}: {is} after {counted}");
            ensure!(u64::from(is - counted) <= seconds, "kill {kill}: {is} after {counted}");
            ensure!(row.state.condition == Condition::Unknown, "kill {kill}: {:?}", row.state);
            counted = is;
        }
        if let Some(mark) = past.checks.get(&ticks).and_then(|row| row.mark.as_ref()) {
            ensure!(
                ticked.is_none_or(|before| before <= mark.at),
                "kill {kill}: {ticked:?} {mark:?}"
            );
            ticked = Some(mark.at);
        }
        if let Some(mark) = past.checks.get(&daily).and_then(|row| row.mark.as_ref()) {
            ensure!(past.checks[&daily].state.last_check.is_some(), "{mark:?} without a run");
        }
    }
    ensure!(marks.is_sorted(), "points of a schedule never go back: {marks:?}");
    let (first, last) = (marks.first().context("it ran")?, marks.last().context("it ran")?);
    let off = (*last - *first).num_milliseconds() % 1000;
    ensure!(off == 0, "after {KILLS} kills the schedule is {off} ms off its grid");

    ensure!(counted > 0 && ticked.is_some(), "every check ran");

    // In the end everything that was to be told is told.
    site.write(&config(true, true))?;
    site.restart().await?;
    let end = async || seen(&store, "flips").ok().filter(|seen| seen.undelivered == 0);
    let end = wait::until(PATIENCE, "every alert to be told", end).await?;
    log.push_str(&site.process()?.log());
    site.stop().await?;
    let alternates = end.told.windows(2).all(|pair| pair[0] != pair[1]);
    ensure!(alternates, "a failure and its recovery take turns: {:?}", end.told);
    deliveries += (end.told.len() - transitions) * 2;
    absent.live(&seen(&store, "absent")?.told, true);
    let words = told(&log, "absent");
    ensure!(absent.was_told(&words), "{absent:?} was told {words:?}");
    let more = words.len() - absent.expected.len();
    ensure!(more <= 2 * usize::try_from(KILLS)?, "{absent:?} was told {words:?}");
    let told = told(&log, "flips").len();
    ensure!(told >= deliveries, "{deliveries} to be made, {told} were:\n{log}");
    let twice = told - deliveries;
    println!(
        "{} transitions over {KILLS} kills, {deliveries} deliveries, {twice} of them twice",
        end.told.len()
    );
    // A kill between telling and noting that it was told makes one of each action.
    ensure!(twice <= 2 * usize::try_from(KILLS)?, "told twice without a kill in between");

    // What ran a day ago is not due again for a restart.
    let past = Store::read_past(&store)?;
    let runs = past.checks[&daily].state.last_check.context("it ran at the first start")?;
    let began = past.checks[&daily].mark.as_ref().context("its schedule is kept")?.at;
    ensure!((runs - began).num_seconds().abs() < 60, "the daily check ran once: {runs} {began}");
    Ok(())
}
