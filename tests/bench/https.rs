//! Web servers over TLS, two thousand every ten seconds, while five hundred other targets hang to their timeout: ours beside
//! the original, in one run: `cargo bench -p fletchck-tests --bench https`.
//!
//! Both trust what the system trusts and the test's own authority. The original reads all of that at every look, which is
//! most of what a look costs it, so it is measured once more with the test's authority alone, as no site has it. It gets
//! as many checks as keep it busy, and none that hangs: those would leave it no time for others. CPU time is the program's
//! own, hanging checks included.
//!
//! Late is a run that begins after its time. Ours has its jitter switched off, so that its times are known: the store has
//! the time of each run and the point of the trigger it was for. The original's schedule moves, so its times are unknown.
//! What both can be asked is how long a check waited beyond ten seconds between two answers that the server logged.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use fletchck_tests::{
    fault::{Blackhole, Silence},
    fletchck::{Fletchck, Program},
    nginx::Nginx,
    original::Original,
    pki::Pki,
    usage,
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, sleep_until};

const HEALTHY: usize = 2000;
const HANGING: usize = 500;

/// Seconds from a run of a check to its next.
const PERIOD: f64 = 10.0;

/// What the original is asked to do: with the system's authorities, and with one.
const ITS_HEALTHY: usize = 300;
const ITS_HEALTHY_WITH_ONE: usize = 2000;

/// Until every check has had its first run, also those behind others that hang.
const WARM_UP: Duration = Duration::from_secs(35);
const ITS_WARM_UP: Duration = Duration::from_secs(12);
const WATCHED: Duration = Duration::from_secs(30);

/// Where both programs look for the authorities of the system.
const AUTHORITIES: &str = "SSL_CERT_FILE";

/// What a program did while it was watched.
#[derive(Default)]
struct Done {
    healthy: usize,
    hanging: usize,
    cpu: Duration,
    resident: u64,
    /// When each check was answered, seconds since 1970.
    answered: HashMap<String, Vec<f64>>,
    /// Seconds that each run began after its time.
    late: Vec<f64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let nginx = Nginx::start(&pki).await?;
    let (silence, blackhole) = (Silence::open().await?, Blackhole::open().await?);
    let hosts = [nginx.https, silence.port, blackhole.port];
    let all = authorities(dir.path(), &pki)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "https checks every {PERIOD} s, for {} s; ms", WATCHED.as_secs())?;
    writeln!(
        out,
        "{:<22} {:>8} {:>8} {:>8} {:>9} {:>7}  {:<22} {:<22}",
        "program", "checks", "hanging", "done/s", "CPU each", "MB", "late p50/p99/max", "waited"
    )?;
    let mut row = |name: &str, done: &Done| {
        let mb = done.resident as f64 / 1e6;
        writeln!(
            out,
            "{name:<22} {:>8} {:>8} {:>8.1} {:>9.2} {mb:>7.1}  {:<22} {:<22}",
            done.healthy,
            done.hanging,
            done.answers() as f64 / WATCHED.as_secs_f64(),
            done.cpu_each() * 1e3,
            spread(done.late.clone()),
            spread(done.waited()),
        )
    };
    let ours = ours(&nginx, hosts, &all).await?;
    row("ours", &ours)?;
    let theirs = original(&nginx, hosts, &all, ITS_HEALTHY).await?;
    row("original", &theirs)?;
    let with_one = original(&nginx, hosts, &pki.ca, ITS_HEALTHY_WITH_ONE).await?;
    row("  with one authority", &with_one)?;
    for (with, theirs) in [("", &theirs), (", with one authority", &with_one)] {
        let cpu = theirs.cpu_each() / ours.cpu_each();
        let rate = ours.answers() as f64 / theirs.answers() as f64;
        writeln!(
            out,
            "ratio{with}: 1/{cpu:.1} of its CPU for each check, {rate:.1} times as many"
        )?;
    }
    Ok(())
}

async fn ours(nginx: &Nginx, hosts: [u16; 3], authorities: &Path) -> Result<Done> {
    let site = json!({ "checks": checks(hosts, HEALTHY, HANGING, true) });
    let mut site =
        Fletchck::prepare(Program::Agent, &site)?.with_variable(AUTHORITIES, authorities);
    site.restart().await?;
    let pid = site.process()?.id();
    let store = site.dir().join("fletchck.db");
    let (mut done, runs) = watch(nginx, pid, WARM_UP, Some(&store)).await?;
    (done.healthy, done.hanging, done.late) = (HEALTHY, HANGING, late(&runs)?);
    site.stop().await?;
    Ok(done)
}

async fn original(
    nginx: &Nginx,
    hosts: [u16; 3],
    authorities: &Path,
    healthy: usize,
) -> Result<Done> {
    let site = json!({ "checks": checks(hosts, healthy, 0, false) });
    let mut site = Original::prepare(&site)?.with_variable(AUTHORITIES, authorities);
    site.restart().await?;
    let pid = site.process()?.id();
    let (done, _) = watch(nginx, pid, ITS_WARM_UP, None).await?;
    Ok(Done { healthy, ..done })
}

/// Those that hang lie between the others, half of them with a server that accepts and is silent.
fn checks([well, silent, away]: [u16; 3], healthy: usize, hanging: usize, ours: bool) -> Value {
    let mut trigger = json!({ "interval": { "seconds": PERIOD as u32 } });
    if ours {
        trigger["interval"]["jitter"] = 0.into();
    }
    let check = |port: u16, path: &str| {
        json!({ "type": "https", "trigger": trigger,
                "options": { "hostname": "127.0.0.1", "port": port, "reqPath": path } })
    };
    let mut checks = Map::new();
    let every = healthy.checked_div(hanging).unwrap_or(usize::MAX);
    for n in 0..healthy {
        checks.insert(format!("well {n}"), check(well, &format!("/timed/{n}")));
        if n % every == every - 1 {
            let port = if (n / every).is_multiple_of(2) { silent } else { away };
            checks.insert(format!("hangs {}", n / every), check(port, "/"));
        }
    }
    Value::Object(checks)
}

/// The system's authorities and the test's own, in one file.
fn authorities(dir: &Path, pki: &Pki) -> Result<PathBuf> {
    let system = "/etc/ssl/certs/ca-certificates.crt";
    let mut text = fs::read_to_string(system).with_context(|| format!("reading {system}"))?;
    text.push_str(&fs::read_to_string(&pki.ca)?);
    let all = dir.join("authorities.pem");
    fs::write(&all, text)?;
    Ok(all)
}

/// A run of a check: its name, when it began and the point that it was for, microseconds since 1970.
type Runs = HashSet<(String, i64, i64)>;

/// Watches a program after it has warmed up. The runs are those that its store has of the checks that are well.
async fn watch(
    nginx: &Nginx,
    pid: u32,
    warm_up: Duration,
    store: Option<&Path>,
) -> Result<(Done, Runs)> {
    sleep(warm_up).await;
    let mut runs = store.map(read).transpose()?.unwrap_or_default();
    // These began before.
    let before = runs.clone();
    let (from, cpu_before) = (nginx.timed()?.len(), usage::cpu(pid)?);
    let end = Instant::now() + WATCHED;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        // Twice in the time from one run of a check to its next, or one would be missed.
        sleep_until(Instant::now() + left.min(Duration::from_secs_f64(PERIOD / 3.0))).await;
        if let Some(store) = store {
            runs.extend(read(store)?);
        }
    }
    let cpu = usage::cpu(pid)? - cpu_before;
    let mut answered: HashMap<String, Vec<f64>> = HashMap::new();
    for (at, path) in nginx.timed()?.split_off(from) {
        answered.entry(path).or_default().push(at);
    }
    ensure!(!answered.is_empty(), "nothing was asked");
    runs.retain(|run| !before.contains(run));
    Ok((Done { cpu, resident: usage::resident(pid)?, answered, ..Done::default() }, runs))
}

fn read(store: &Path) -> Result<Runs> {
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    store.busy_timeout(Duration::from_secs(5))?;
    let mut rows = store.prepare(
        "SELECT name, state ->> 'lastCheck', mark FROM checks WHERE name LIKE 'well %' AND mark NOT NULL",
    )?;
    let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let runs = rows.map(|row| {
        let (name, at, mark): (String, String, i64) = row?;
        Ok((name, DateTime::parse_from_rfc3339(&at)?.timestamp_micros(), mark))
    });
    runs.collect()
}

/// Seconds that each run began after its time; one that is missing is late by a whole period.
fn late(runs: &Runs) -> Result<Vec<f64>> {
    let expected = HEALTHY * WATCHED.as_secs() as usize / PERIOD as usize;
    let mut late: Vec<f64> = runs.iter().map(|(_, at, mark)| (at - mark) as f64 / 1e6).collect();
    late.resize(late.len().max(expected), PERIOD);
    late.sort_by(f64::total_cmp);
    ensure!(late.first().is_some_and(|first| *first >= 0.0), "a run began before its time");
    let nearly_all = late[late.len() * 99 / 100];
    ensure!(nearly_all < 0.1, "one run of a hundred began {nearly_all} s late or later");
    Ok(late)
}

impl Done {
    fn answers(&self) -> usize {
        self.answered.values().map(Vec::len).sum()
    }

    /// Seconds of CPU for each answer.
    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() / self.answers() as f64
    }

    /// Seconds beyond the period between two answers to one check.
    fn waited(&self) -> Vec<f64> {
        let pairs = self.answered.values().flat_map(|times| times.windows(2));
        pairs.map(|pair| (pair[1] - pair[0] - PERIOD).max(0.0)).collect()
    }
}

/// Median, 99th of a hundred and last, in milliseconds.
fn spread(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let Some(last) = seconds.len().checked_sub(1) else { return "-".into() };
    let at = |share: f64| format!("{:.0}", seconds[(last as f64 * share) as usize] * 1e3);
    [at(0.5), at(0.99), at(1.0)].join(" / ")
}
