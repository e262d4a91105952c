//! kill -9 around transitions, while a mail server and a web service fail half the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, Utc};
use fletchck_tests::{
    exim::Exim,
    fletchck::{Fletchck, Program},
    pki::Pki,
    sink::Sink,
    wait,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// Times the program is killed.
const KILLS: u32 = 200;

/// Checks that go back and forth.
const CHECKS: u32 = 8;

/// Longest life; one in which nothing happens that a kill could hit ends after it.
const LIFE: Duration = Duration::from_millis(600);

/// A check that failed, or recovered, at a time in microseconds.
type Change = (String, String, i64);

/// What one recipient was told at once, and in which life of the program.
#[derive(Debug)]
struct Told {
    life: u32,
    id: String,
    changes: Vec<Change>,
}

/// What a kill aims at.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// Any moment.
    Any,
    /// The moment after a commit.
    Commit,
    /// The moment after a request has come to the web service.
    Request,
    /// The moment after a mail was accepted.
    Mail,
}

/// Everything that is to be true, in one place.
struct Stage {
    exim: Exim,
    sink: Sink,
    pki: Pki,
    targets: tempfile::TempDir,
    site: Fletchck,
}

impl Stage {
    async fn set() -> Result<Self> {
        let targets = tempfile::tempdir()?;
        let pki = Pki::create(targets.path())?;
        let (exim, sink) = (Exim::start(&pki).await?, Sink::start().await?);
        exim.fail_half(true)?;
        sink.fail_half(true);
        let site = Fletchck::prepare(Program::Full, &json!({}))?;
        Ok(Self { exim, sink, pki, targets, site })
    }

    /// The site in this life. What it tells says which life that is.
    fn config(&self, life: u32) -> Value {
        let change = "{{ e.check }} {{ e.news }} {{ e.at_iso }}\n";
        let text = format!(
            "life {life}\n{{% for entry in entries %}}{{% for e in entry.earlier %}}{change}{{% endfor %}}\
             {{% set e = entry %}}{change}{{% endfor %}}"
        );
        let checks = (0..CHECKS).map(|n| {
            let check = json!({
                "type": "disk", "flapping": false,
                "options": { "volume": self.target(n), "level": 100 }, "actions": ["mail", "hook"],
            });
            (name(n), check)
        });
        json!({
            "actions": {
                "mail": {
                    "type": "email", "gather": 0, "rate": 0, "options": {
                        "hostname": "localhost", "port": self.exim.submission, "cafile": self.pki.ca,
                        "username": Exim::USER, "password": Exim::PASSWORD, "sender": Exim::USER,
                        "recipients": ["ann@test.example", "bob@test.example"], "text": text,
                    },
                },
                "hook": { "type": "webhook", "options": { "url": self.sink.url(), "text": text } },
            },
            "checks": serde_json::Map::from_iter(checks),
        })
    }

    fn target(&self, n: u32) -> std::path::PathBuf {
        self.targets.path().join(format!("volume-{n}"))
    }

    fn flip(&self, n: u32) -> Result<()> {
        let target = self.target(n);
        if target.exists() {
            fs::remove_dir(target)?
        } else {
            fs::create_dir(target)?
        }
        Ok(())
    }

    fn store(&self) -> std::path::PathBuf {
        self.site.dir().join("fletchck.db")
    }

    /// Something that is other than before once what is aimed at has happened.
    fn mark(&self, aim: Aim) -> u128 {
        let committed = || {
            let log = fs::metadata(self.site.dir().join("fletchck.db-wal")).ok()?;
            log.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()
        };
        match aim {
            Aim::Any => 0,
            Aim::Commit => committed().map_or(0, |at| at.as_nanos()),
            Aim::Request => self.sink.times() as u128,
            Aim::Mail => u128::from(self.exim.written()),
        }
    }

    /// One life: the targets of some checks change, and it is killed.
    async fn live(&mut self, life: u32, dice: &mut StdRng) -> Result<()> {
        self.site.write(&self.config(life))?;
        self.site.launch().await?;
        let aim = match dice.random_range(0..4) {
            0 => Aim::Any,
            1 => Aim::Commit,
            2 => Aim::Request,
            _ => Aim::Mail,
        };
        let (before, begin) = (self.mark(aim), Instant::now());
        let longest = if matches!(aim, Aim::Any) { LIFE } else { Duration::from_millis(20) };
        let rest = longest.mul_f64(dice.random());
        let many = dice.random_range(1..=4);
        let checks: Vec<u32> = (0..many).map(|_| dice.random_range(0..CHECKS)).collect();
        let kill = async {
            while !matches!(aim, Aim::Any) && self.mark(aim) == before && begin.elapsed() < LIFE {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(rest).await;
        };
        // It may well be killed while it is asked.
        tokio::select! {
            () = kill => {}
            end = async { self.change(&checks).await?; std::future::pending().await } => return end,
        }
        self.site.kill();
        Ok(())
    }

    /// Changes the targets of some checks, and has them run.
    async fn change(&self, checks: &[u32]) -> Result<()> {
        for n in checks {
            self.flip(*n)?;
            self.site.run_now(&name(*n)).await?;
        }
        Ok(())
    }

    /// What each recipient was told, in the order it was accepted.
    async fn told(&self) -> Result<BTreeMap<String, Vec<Told>>> {
        let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for asked in self.sink.asked().into_iter().filter(|asked| asked.status == 200) {
            let id = asked.header("x-fletchck-id").to_owned();
            told.entry("hook".into()).or_default().push(parse(id, &asked.text())?);
        }
        for mail in self.exim.accepted().await? {
            let (head, text) = mail.split_once("\n\n").context("a head and a text")?;
            let field = |name| head.lines().find_map(|line| line.strip_prefix(name));
            let to = field("Envelope-to: ").context("it has a recipient")?;
            let id = field("Message-ID: ").context("it has a number")?;
            told.entry(to.into()).or_default().push(parse(id.into(), text)?);
        }
        Ok(told)
    }
}

fn name(n: u32) -> String {
    format!("check-{n}")
}

fn parse(id: String, text: &str) -> Result<Told> {
    let mut lines = text.lines();
    let life = lines.next().and_then(|line| line.strip_prefix("life ")).context("it has a life")?;
    let changes = lines.filter(|line| !line.is_empty()).map(|line| {
        let [check, news, at] = line.split(' ').collect::<Vec<_>>()[..] else { bail!("{line}") };
        Ok((check.to_owned(), news.to_owned(), at.parse::<DateTime<Utc>>()?.timestamp_micros()))
    });
    Ok(Told { life: life.trim().parse()?, id, changes: changes.collect::<Result<_>>()? })
}

/// The changes in the store, oldest first, and how many deliveries still wait.
fn stored(store: &Path) -> Result<(BTreeMap<i64, Change>, i64)> {
    let db = rusqlite::Connection::open(store)?;
    db.busy_timeout(Duration::from_secs(5))?;
    let mut select = db.prepare(
        "SELECT id, name, json_extract(entry, '$.kind'), json_extract(entry, '$.at') FROM transitions",
    )?;
    let rows = select.query_map((), |row| {
        let at: String = row.get(3)?;
        let at = at.parse::<DateTime<Utc>>().map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, e.into())
        })?;
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?, at.timestamp_micros())))
    })?;
    let changes = rows.collect::<Result<_, _>>()?;
    let waiting = db.query_row("SELECT count(*) FROM deliveries", (), |row| row.get(0))?;
    Ok((changes, waiting))
}

/// What one recipient was told against what happened. How many changes were told more than once, and how many letters
/// came again with the same number.
fn judge(who: &str, told: &[Told], happened: &BTreeMap<i64, Change>) -> Result<(usize, usize)> {
    let mut first: Vec<&Change> = Vec::new();
    let mut places: BTreeMap<&Change, usize> = BTreeMap::new();
    let (mut twice, mut same) = (0, 0);
    let last_of_life = |place: usize| told[place + 1..].iter().all(|t| t.life != told[place].life);
    for (place, letter) in told.iter().enumerate() {
        let mut again = None;
        for change in &letter.changes {
            let Some(before) = places.insert(change, place) else {
                first.push(change);
                continue;
            };
            twice += 1;
            again = Some(before);
            // Only what was accepted and not yet noted when it was killed may come again: the last of that life.
            ensure!(
                told[before].life < letter.life && last_of_life(before),
                "{who} was told twice of {change:?}, and no kill is to blame: {:?} and {letter:?}",
                told[before]
            );
        }
        let Some(before) = again else { continue };
        let as_it_was = told[before].changes == letter.changes;
        ensure!(
            as_it_was,
            "a letter comes again as a whole, with no more: {:?} {letter:?}",
            told[before]
        );
        ensure!(
            told[before].id == letter.id,
            "its number is the same: {:?} {letter:?}",
            told[before]
        );
        same += 1;
    }
    let known: BTreeSet<_> = first.iter().copied().collect();
    for change in happened.values() {
        ensure!(known.contains(change), "{who} was never told of {change:?}");
    }
    ensure!(known.len() == happened.len(), "{who} was told of what did not happen");
    for n in 0..CHECKS {
        let name = name(n);
        let order: Vec<_> = first.iter().filter(|change| change.0 == name).copied().collect();
        let right: Vec<_> = happened.values().filter(|change| change.0 == name).collect();
        ensure!(order == right, "{who} was told of `{name}` in disorder: {order:?}, not {right:?}");
    }
    Ok((twice, same))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_reaches_every_recipient_over_200_kills_and_servers_that_fail_half_the_time()
-> Result<()> {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut stage = Stage::set().await?;
    let began = Instant::now();
    let mut happened = BTreeMap::new();
    for life in 1..=KILLS {
        stage.live(life, &mut dice).await?;
        // Old ones are forgotten in time.
        happened.append(&mut stored(&stage.store())?.0);
    }
    let killed = began.elapsed();

    // What was seen by a run that a kill cut off is seen now.
    stage.site.write(&stage.config(KILLS + 1))?;
    stage.site.launch().await?;
    for n in 0..CHECKS {
        stage.site.run_now(&name(n)).await?;
        let word = if stage.target(n).exists() { "pass" } else { "fail" };
        stage.site.until(&name(n), word).await?;
    }

    // The servers go on as they are. A start tries at once what waits to be tried again.
    let mut life = KILLS + 1;
    loop {
        life += 1;
        ensure!(life < KILLS + 60, "it is never all told: {:?}", stored(&stage.store())?.1);
        stage.site.write(&stage.config(life))?;
        stage.site.launch().await?;
        let store = stage.store();
        let done = async || stored(&store).ok().filter(|(_, waiting)| *waiting == 0);
        let settled = wait::until(Duration::from_millis(1500), "all to be told", done).await;
        stage.site.stop().await?;
        if settled.is_ok() && stored(&stage.store())?.1 == 0 {
            break;
        }
    }
    happened.append(&mut stored(&stage.store())?.0);
    ensure!(happened.len() > 100, "only {} transitions", happened.len());
    let told = stage.told().await?;
    ensure!(told.len() == 3, "three are told: {:?}", told.keys());
    println!(
        "{} transitions over {KILLS} kills in {killed:?}, and {} lives to tell the last of them",
        happened.len(),
        life - KILLS
    );
    for (who, told) in &told {
        let (twice, same) = judge(who, told, &happened)?;
        println!(
            "{who}: {} letters, {twice} times a transition came again, {same} letters as they were",
            told.len()
        );
    }
    // What was told last is how things are.
    for n in 0..CHECKS {
        let last = happened.values().rfind(|change| change.0 == name(n));
        let well = last.is_none_or(|change| change.1 == "recovered");
        ensure!(well == stage.target(n).exists(), "{}: {last:?}", name(n));
    }
    Ok(())
}

#[test]
fn the_judge_of_it_finds_what_is_wrong() -> Result<()> {
    let change = |at| (name(0), if at % 2 == 0 { "failed" } else { "recovered" }.to_owned(), at);
    let happened = BTreeMap::from([(1, change(0)), (2, change(1))]);
    let told = |life, changes: &[i64]| Told {
        life,
        id: format!("{changes:?}"),
        changes: changes.iter().map(|at| change(*at)).collect(),
    };
    let judged = |told: &[Told]| judge("ann", told, &happened);
    assert_eq!(judged(&[told(1, &[0]), told(1, &[1])])?, (0, 0));
    assert_eq!(judged(&[told(1, &[0]), told(2, &[0]), told(2, &[1])])?, (1, 1));
    let another = Told { id: "another".into(), ..told(2, &[0]) };
    for (wrong, story) in [
        ("never told", vec![told(1, &[0])]),
        ("did not happen", vec![told(1, &[0]), told(1, &[1]), told(1, &[2])]),
        ("disorder", vec![told(1, &[1]), told(2, &[0])]),
        ("no kill", vec![told(1, &[0]), told(1, &[0]), told(1, &[1])]),
        ("no kill", vec![told(1, &[0]), told(1, &[1]), told(2, &[0])]),
        ("as a whole", vec![told(1, &[0, 1]), told(2, &[0])]),
        ("with no more", vec![told(1, &[0]), told(2, &[0, 1])]),
        ("number is the same", vec![told(1, &[0]), another, told(2, &[1])]),
    ] {
        let error = judged(&story).err().with_context(|| format!("{wrong}: {story:?}"))?;
        ensure!(error.to_string().contains(wrong), "{wrong}: {error}");
    }
    Ok(())
}
