//! kill -9 at random times: what is stored is whole, and what was to be told is told.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use fletchck_agent::store::Store;
use fletchck_shared::{CheckName, Condition};
use fletchck_tests::{
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

/// Lines of the log action: one for each time an alert was told.
fn told(log: &str, check: &str) -> BTreeMap<&'static str, usize> {
    let of_it = |word: &str| {
        log.lines().filter(|line| line.contains(&format!("{check} (disk): {word}"))).count()
    };
    BTreeMap::from([("failed", of_it("FAIL")), ("recovered", of_it("PASS"))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_killed_at_random_times_goes_on_where_it_was() -> Result<()> {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let target = tempfile::tempdir()?;
    let volume = target.path().join("volume");
    let mut site = Fletchck::prepare(
        Program::Full,
        &json!({
            "actions": { "log": { "type": "log" } },
            "checks": {
                "flips": {
                    "type": "disk", "trigger": { "interval": { "seconds": 1 } },
                    "options": { "volume": volume, "level": 100 }, "actions": ["log"],
                },
                "daily": { "type": "disk", "trigger": { "interval": { "days": 1 } } },
            },
        }),
    )?;
    let store = site.dir().join("fletchck.db");
    let (flips, daily) = (CheckName::try_from("flips")?, CheckName::try_from("daily")?);
    let mut marks = Vec::new();
    let mut log = String::new();
    for kill in 0..KILLS {
        site.restart().await?;
        let life = Duration::from_millis(dice.random_range(0..1800));
        tokio::time::sleep(life / 2).await;
        if volume.exists() {
            fs::remove_dir(&volume)?;
        } else {
            fs::create_dir(&volume)?;
        }
        tokio::time::sleep(life / 2).await;
        log.push_str(&site.process()?.log());
        site.kill();

        let past = Store::read_past(&store).context("the store is whole after every kill")?;
        let Some(row) = past.checks.get(&flips) else { continue };
        let state = &row.state;
        match &state.condition {
            Condition::Pass => ensure!(state.fail_count == 0, "kill {kill}: {state:?}"),
            Condition::Fail(_) => {
                ensure!(state.fail_count > 0 && state.told, "kill {kill}: {state:?}")
            }
            Condition::Unknown => {}
        }
        marks.extend(row.mark.as_ref().map(|mark| mark.at));
        if let Some(mark) = past.checks.get(&daily).and_then(|row| row.mark.as_ref()) {
            ensure!(past.checks[&daily].state.last_check.is_some(), "{mark:?} without a run");
        }
    }
    ensure!(marks.is_sorted(), "points of a schedule never go back: {marks:?}");
    let (first, last) = (marks.first().context("it ran")?, marks.last().context("it ran")?);
    let off = (*last - *first).num_milliseconds() % 1000;
    ensure!(off == 0, "after {KILLS} kills the schedule is {off} ms off its grid");

    // In the end everything that was to be told is told.
    site.restart().await?;
    let end = async || seen(&store, "flips").ok().filter(|seen| seen.undelivered == 0);
    let end = wait::until(PATIENCE, "every alert to be told", end).await?;
    log.push_str(&site.process()?.log());
    site.stop().await?;
    let alternates = end.told.windows(2).all(|pair| pair[0] != pair[1]);
    ensure!(alternates, "a failure and its recovery take turns: {:?}", end.told);
    let told = told(&log, "flips");
    let mut twice = 0;
    for (kind, lines) in told {
        let stored = end.told.iter().filter(|told| *told == kind).count();
        ensure!(lines >= stored, "{kind} {stored} times, told {lines} times:\n{log}");
        twice += lines - stored;
    }
    println!("{} transitions over {KILLS} kills, {twice} told twice", end.told.len());
    ensure!(twice <= usize::try_from(KILLS)?, "told twice without a kill in between");

    // What ran a day ago is not due again for a restart.
    let past = Store::read_past(&store)?;
    let runs = past.checks[&daily].state.last_check.context("it ran at the first start")?;
    let began = past.checks[&daily].mark.as_ref().context("its schedule is kept")?.at;
    ensure!((runs - began).num_seconds().abs() < 60, "the daily check ran once: {runs} {began}");
    Ok(())
}
