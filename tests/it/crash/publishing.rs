//! kill -9 beside a broker that comes and goes: what was to be published is published, and the broker keeps the truth.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::store::Store;
use fletchck_shared::CheckName;
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    pki::Pki,
    wait::{self, PATIENCE},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rumqttc::MqttOptions;
use serde_json::{Value, json};

const KILLS: u32 = 12;

/// Someone whom the broker keeps everything for while he is away.
async fn witness(broker: &Mosquitto) -> Result<Mqtt> {
    let mut options = MqttOptions::new("witness", "127.0.0.1", broker.port);
    options.set_clean_session(false);
    let mqtt = Mqtt::with(options).await?;
    mqtt.subscribe("v1/flips").await?;
    Ok(mqtt)
}

/// Lets the broker go while nobody speaks to it, and keep all it has acknowledged: its faults are not what this looks at.
async fn leave(broker: &mut Mosquitto, dice: &mut StdRng) -> Result<()> {
    if dice.random_bool(0.5) {
        return broker.stop().await;
    }
    broker.settle().await?;
    broker.kill();
    Ok(())
}

fn count(store: &std::path::Path, query: &str) -> Result<i64> {
    let db = rusqlite::Connection::open(store)?;
    db.busy_timeout(Duration::from_secs(5))?;
    Ok(db.query_row(query, (), |row| row.get(0))?)
}

/// How often what was published changed between failing and not, by the time of each run. A run that is published twice is
/// one run.
fn changes(mqtt: &Mqtt) -> Result<Vec<(String, bool)>> {
    let mut runs = std::collections::BTreeMap::new();
    for message in mqtt.messages() {
        let data: Value = serde_json::from_slice(&message.payload)?;
        let at = data["data"]["lastCheck"].as_str().context("when it ran")?.to_owned();
        runs.insert(at, data["data"]["failState"] == true);
    }
    let mut changes: Vec<(String, bool)> = runs.into_iter().collect();
    changes.dedup_by_key(|(_, fails)| *fails);
    Ok(changes)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_is_published_whatever_dies() -> Result<()> {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let mut broker = Mosquitto::start(&pki).await?;
    drop(witness(&broker).await?);
    let volume = dir.path().join("volume");
    let mut site = Fletchck::prepare(
        Program::Agent,
        &json!({
            "agent": { "id": "nas" },
            "mqtt": { "hostname": "127.0.0.1", "port": broker.port },
            "checks": { "flips": {
                "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "publish": "v1/flips",
                "options": { "volume": volume, "level": 100 },
            } },
        }),
    )?;
    let store = site.dir().join("fletchck.db");
    let mut up = true;
    for _ in 0..KILLS {
        if dice.random_bool(0.4) {
            if up {
                leave(&mut broker, &mut dice).await?;
            }
            up = false;
        } else if !up || dice.random_bool(0.5) {
            up = true;
            broker.restart().await?;
        }
        site.restart().await?;
        let life = Duration::from_millis(dice.random_range(0..2500));
        tokio::time::sleep(life / 2).await;
        if volume.exists() {
            fs::remove_dir(&volume)?;
        } else {
            fs::create_dir(&volume)?;
        }
        if dice.random_bool(0.3) {
            // While messages are on their way.
            if up {
                broker.stop().await?;
            } else {
                broker.restart().await?;
            }
            up = !up;
        }
        tokio::time::sleep(life / 2).await;
        site.kill();
    }
    broker.restart().await?;
    site.restart().await?;
    let sent = async || (count(&store, "SELECT count(*) FROM outbox").ok()? == 0).then_some(());
    wait::until(PATIENCE, "everything to be acknowledged", sent).await?;
    site.stop().await?;

    let transitions =
        usize::try_from(count(&store, "SELECT count(*) FROM transitions WHERE name = 'flips'")?)?;
    let witness = witness(&broker).await?;
    // The retained message comes at every subscription, behind or before what was kept; the last run is the last to come.
    let last = Store::read_past(&store)?.checks[&CheckName::try_from("flips")?].state.clone();
    let all = async || {
        let changes = changes(&witness).ok()?;
        let failing = changes.iter().filter(|(_, fails)| *fails).count();
        (changes.last()?.1 == last.condition.failing() && failing * 2 >= transitions).then_some(())
    };
    let arrived = wait::until(PATIENCE, "every transition to arrive", all).await;
    let changes = changes(&witness)?;
    println!("{transitions} transitions over {KILLS} kills, {} changes published", changes.len());
    // The first message stands for what was before the first transition, if it was a pass.
    let first_fails = changes.first().is_some_and(|(_, fails)| *fails);
    ensure!(
        changes.len() == transitions + usize::from(!first_fails),
        "{transitions} transitions, published: {changes:?} {arrived:?}"
    );

    let reader = Mqtt::connect(broker.port).await?;
    reader.subscribe("fletchck/nas/check/flips").await?;
    let kept =
        reader.wait_for(PATIENCE, "the retained state", |message| message.retained).await?.json();
    ensure!(kept["data"]["failState"] == last.condition.failing(), "{kept} {last:?}");
    ensure!(kept["data"]["failCount"] == last.fail_count, "{kept} {last:?}");
    Ok(())
}
