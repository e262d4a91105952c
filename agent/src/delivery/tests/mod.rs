//! The workers over a real store, by a clock that moves only when it is moved.

mod clock;
mod failover;
mod faults;
mod handover;
mod held;
mod pauses;
mod rate;
mod refused;
mod renamed;
mod repeats;
mod stories;
mod unstored;

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{CheckName, Severity, policy::News};
use parking_lot::Mutex;
use rusqlite::ErrorCode;
use tokio::time::Instant;

use super::*;
use crate::{
    actions::{Action, Entry, Letter, Notice, TellError, To},
    store::{Batch, ShownDelivery},
};

/// When all of it begins.
const BEGIN: &str = "2026-11-26T20:00:00Z";

/// Longest step in which time is let pass, so that what is due in between comes in its order.
const STEP: Duration = Duration::from_secs(1);

/// Somebody who is told, and answers as a test wants it.
#[derive(Default)]
struct Ear {
    answers: Mutex<VecDeque<Result<(), TellError>>>,
    /// What is answered when nothing else was asked for; `None`: it is told.
    down: Mutex<Option<TellError>>,
    /// The check that it cannot hear of.
    dislikes: Mutex<Option<String>>,
    /// Checks that it will never hear of.
    refuses: Mutex<Vec<String>>,
    /// Those who are told apart from each other; none: there is one without a name.
    groups: Vec<String>,
    /// The only one of them that it hangs at or is slow with, where it is not all.
    only: Option<String>,
    /// Whether it never answers.
    hangs: bool,
    /// How long it takes to answer.
    slow: Duration,
    /// How often it fails in a way that nobody foresaw.
    breaks: Mutex<u32>,
    /// Each try, when it came, and whether it was taken.
    tries: Mutex<Vec<(DateTime<Utc>, Letter, bool)>>,
}

#[async_trait]
impl Action for Ear {
    fn groups(&self) -> Vec<String> {
        if self.groups.is_empty() { vec![String::new()] } else { self.groups.clone() }
    }

    async fn tell(&self, letter: &Letter, to: &To<'_>) -> Result<String, TellError> {
        let answer = self.answers.lock().pop_front();
        let answer = answer.unwrap_or_else(|| self.down.lock().clone().map_or(Ok(()), Err));
        let tells_of = |check: &String| {
            letter.entries.iter().any(|entry| entry.notice.check.as_str() == check)
        };
        let answer = if self.refuses.lock().iter().any(tells_of) {
            Err(TellError::permanent("550 not that"))
        } else if self.dislikes.lock().iter().any(tells_of) {
            Err(TellError::passing("500 what is that?"))
        } else {
            answer
        };
        let minds = self.only.as_ref().is_none_or(|group| group == to.group);
        let taken = answer.is_ok() && !(self.hangs && minds);
        self.tries.lock().push((now(), letter.clone(), taken));
        if self.hangs && minds && answer.is_ok() {
            std::future::pending::<()>().await;
        }
        if !self.slow.is_zero() && minds {
            tokio::time::sleep(self.slow).await;
        }
        let mut breaks = self.breaks.lock();
        if *breaks > 0 {
            *breaks -= 1;
            panic!("nobody foresaw this");
        }
        answer.map(|()| "heard".into())
    }
}

impl Ear {
    fn down(text: &str) -> Arc<Self> {
        let ear = Self::default();
        *ear.down.lock() = Some(TellError::passing(text));
        Arc::new(ear)
    }

    fn up(&self) {
        *self.down.lock() = None;
    }

    /// Minutes and seconds after the beginning at which it was tried.
    fn tried(&self) -> Vec<f64> {
        self.tries.lock().iter().map(|(at, ..)| seconds(*at)).collect()
    }

    /// How many checks each letter told of that was taken, and when that was, in seconds.
    fn letters(&self) -> Vec<(f64, usize)> {
        let tries = self.tries.lock();
        let taken = tries.iter().filter(|(.., taken)| *taken);
        taken.map(|(at, letter, _)| (seconds(*at), letter.entries.len())).collect()
    }

    /// What it was told, one line a letter: the time in seconds, and of each check what came before and how it stands.
    fn told(&self) -> Vec<String> {
        let tries = self.tries.lock();
        let taken = tries.iter().filter(|(.., taken)| *taken);
        taken.map(|(at, letter, _)| format!("{} {}", seconds(*at), said(letter))).collect()
    }
}

fn said(letter: &Letter) -> String {
    let entries = letter.entries.iter().map(|Entry { notice, earlier }| {
        let news = earlier.iter().chain([notice]).map(|notice| word(notice.news));
        format!("{}:{}", notice.check, news.collect::<String>())
    });
    entries.collect::<Vec<_>>().join(" ")
}

fn word(news: News) -> char {
    match news {
        News::Failed => 'F',
        News::Recovered => 'P',
        _ => '?',
    }
}

thread_local! {
    /// When the clock of this test began to stand still.
    static BEGAN: Instant = Instant::now();
    /// Days by which the clock of the actions is ahead of it.
    static AHEAD: Cell<i64> = const { Cell::new(0) };
    /// How often that clock cannot be read.
    static BROKEN: Cell<u32> = const { Cell::new(0) };
}

fn begin() -> DateTime<Utc> {
    BEGIN.parse().expect("a time")
}

/// What time it is on this test's clock, which goes with that of its timers.
fn now() -> DateTime<Utc> {
    let passed = BEGAN.with(|began| began.elapsed());
    begin() + TimeDelta::from_std(passed).expect("not that long")
}

/// What time it is for the actions.
fn clock() -> DateTime<Utc> {
    if BROKEN.get() > 0 {
        BROKEN.set(BROKEN.get() - 1);
        panic!("the clock stands still");
    }
    now() + TimeDelta::days(AHEAD.get())
}

fn seconds(at: DateTime<Utc>) -> f64 {
    (at - begin()).as_seconds_f64()
}

/// Actions with their workers. Time passes only by [`Desk::pass`].
struct Desk {
    store: Store,
    roster: Arc<Roster>,
    stop: CancellationToken,
    /// While something holds a thread, time does not pass by itself.
    _still: Sender<()>,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn open() -> Self {
        BEGAN.with(|_| ());
        let (still, held) = channel::<()>();
        tokio::task::spawn_blocking(move || held.recv().ok());
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store")).expect("a store");
        let roster = Arc::<Roster>::default();
        roster.set_office(office(&store));
        Self { store, roster, stop: CancellationToken::new(), _still: still, _folder: folder }
    }

    /// Has an ear told by these rules, as a type whose messages are gathered or not.
    fn employ(&mut self, action: &str, ear: &Arc<Ear>, gathers: bool, rules: config::Delivery) {
        let name = ActionName::try_from(action).expect("a name");
        let memories = self.roster.enter(&name, ear.clone(), rules.quiet.clone());
        for (group, memory) in memories {
            let work = Work {
                busy: self.roster.begin(&name, &group),
                name: name.clone(),
                group,
                action: ear.clone(),
                pace: Pace::new(gathers, &rules),
                rules: rules.clone(),
                office: office(&self.store),
                memory,
                holdups: Holdups::default(),
                parts: Parts::default(),
                cut_off: true,
                roster: self.roster.clone(),
                before: None,
                stop: self.stop.child_token(),
                end: self.stop.clone(),
            };
            tokio::spawn(work.stay());
        }
    }

    /// Ends all workers, as a restart or a reload does.
    async fn dismiss(&mut self) {
        self.stop.cancel();
        self.pass(secs(3)).await;
        self.stop = CancellationToken::new();
    }

    /// Stores what is to be told by `mail` now: `a:F b:P`.
    async fn put(&self, news: &str) {
        self.put_for("mail", news.split(' ').map(notice)).await;
    }

    async fn put_for(&self, action: &str, notices: impl IntoIterator<Item = Notice>) {
        self.put_to(action, "", notices).await;
    }

    async fn put_to(&self, action: &str, to: &str, notices: impl IntoIterator<Item = Notice>) {
        let deliveries = notices.into_iter().map(|notice| NewDelivery {
            action: ActionName::try_from(action).expect("a name"),
            group: to.into(),
            notice,
            made: now(),
        });
        let batch = Batch { deliveries: deliveries.collect(), ..Batch::default() };
        self.store.commit(batch).await.expect("stored");
        self.settle().await;
    }

    /// Has told by `mail` what could not be stored.
    async fn tell_unstored(&self, news: &str) {
        for news in news.split(' ') {
            let (action, group) = (ActionName::try_from("mail").expect("a name"), String::new());
            let (notice, made) = (notice(news), now());
            self.roster.tell_unstored(NewDelivery { action, group, notice, made });
        }
        self.settle().await;
    }

    /// Lets time pass, and everything happen that is due.
    async fn pass(&self, time: Duration) {
        self.pass_by(time, STEP).await;
    }

    async fn pass_by(&self, time: Duration, step: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(step);
            tokio::time::advance(step).await;
            self.settle().await;
            left -= step;
        }
    }

    /// Waits until the workers rest. Whatever they ask the store is answered before what is asked of it here, and they go
    /// on before this does: they rest once they ask nothing between the one and the other.
    async fn settle(&self) {
        let mut quiet = 0;
        while quiet < 3 {
            let asked = self.store.asked();
            self.store.call(|_| Ok(())).await.expect("the store answers");
            tokio::task::yield_now().await;
            quiet = if self.store.asked() == asked + 1 { quiet + 1 } else { 0 };
        }
    }

    async fn waiting(&self) -> usize {
        self.store.shown_deliveries(false, 10_000).await.expect("read").len()
    }

    /// Has the store refuse to be written, as on a full disk, or take it again.
    async fn refuse(&self, refuses: bool) {
        let pragma = format!("PRAGMA query_only = {}", u8::from(refuses));
        self.store.call(move |db| db.execute_batch(&pragma)).await.expect("set");
    }

    /// Has the store be as large as it may be, to the last page, as on a full disk, or not.
    async fn fill(&self, full: bool) {
        let fill = move |db: &mut rusqlite::Connection| {
            db.execute_batch("PRAGMA max_page_count = 1000000000")?;
            db.execute("DELETE FROM meta WHERE key LIKE 'ballast%'", ())?;
            if !full {
                return Ok(());
            }
            let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
            db.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
            let ballast = |size: usize, n: usize| (format!("ballast {size} {n}"), "x".repeat(size));
            for size in [2000, 500, 100] {
                for n in 0.. {
                    let put = db.execute("INSERT INTO meta VALUES (?1, ?2)", ballast(size, n));
                    match put {
                        Err(full) if full.sqlite_error_code() == Some(ErrorCode::DiskFull) => break,
                        other => other?,
                    };
                }
            }
            Ok(())
        };
        self.store.call(fill).await.expect("filled");
    }

    async fn dead(&self) -> Vec<ShownDelivery> {
        self.store.shown_deliveries(true, 10_000).await.expect("read")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn office(store: &Store) -> Office {
    Office {
        store: store.clone(),
        clock: Clock::new(clock, || BEGAN.with(|began| began.elapsed())),
        zone: Tz::UTC,
        link: None,
    }
}

/// What is told of a check: `a:F` that it fails, `a:P` that it is well again.
pub(super) fn notice(news: &str) -> Notice {
    let (check, news) = news.split_once(':').expect("a check and its news");
    let failed = news.starts_with('F');
    let (severity, news) =
        if failed { (Severity::Critical, News::Failed) } else { (Severity::Ok, News::Recovered) };
    Notice {
        site: "home".into(),
        check: CheckName::try_from(check).expect("a name"),
        agent: None,
        kind: "tcp".into(),
        news,
        severity,
        about: Severity::Critical,
        at: now(),
        since: None,
        last_good: None,
        text: "no answer".into(),
        level: None,
        log: Vec::new(),
        members: Vec::new(),
        zone: Tz::UTC,
    }
}

/// Rules under which everything is told at once.
fn at_once() -> config::Delivery {
    config::Delivery { gather: Some(Duration::ZERO), rate: Some(0), ..config::Delivery::default() }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
