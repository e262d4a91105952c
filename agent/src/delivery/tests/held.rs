//! Why what waits is not told yet.

use chrono::NaiveTime;
use fletchck_shared::policy::QuietHours;

use super::*;

impl Desk {
    /// What each check waits for that waits, and until when, in seconds.
    async fn held(&self) -> Vec<(String, Option<(Wait, f64)>)> {
        let waiting = self.store.shown_deliveries(false, 100).await.expect("read");
        let held = self.roster.held(&waiting).into_iter();
        let mut held: Vec<_> = waiting
            .iter()
            .map(|one| one.notice.check.to_string())
            .zip(held.map(|held| held.map(|held| (held.wait, seconds(held.until)))))
            .collect();
        held.sort_by(|one, other| one.0.cmp(&other.0));
        held
    }
}

fn at(check: &str, wait: Wait, until: f64) -> (String, Option<(Wait, f64)>) {
    (check.into(), Some((wait, until)))
}

#[tokio::test(start_paused = true)]
async fn what_waits_says_that_it_waits_for_more_and_for_the_rate() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery { rate: Some(10), ..Default::default() });
    desk.put("a:F").await;
    assert_eq!(desk.held().await, [at("a", Wait::More, 5.0)]);
    desk.pass(secs(5)).await;
    assert_eq!(desk.held().await, []);
    desk.put("b:F").await;
    desk.pass(secs(5)).await;
    desk.put("c:F").await;
    desk.pass(secs(5)).await;
    // Two came at once, and every six minutes there is one more.
    let [(_, Some((wait, until)))] = desk.held().await[..] else { panic!("one waits") };
    assert_eq!((wait, (until - 365.0).abs() < 2.0), (Wait::Rate, true), "{until}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_says_when_its_quiet_hours_end_but_what_disturbs_does_not() {
    let time = |text| NaiveTime::parse_from_str(text, "%H:%M").expect("a time");
    let quiet = QuietHours {
        from: time("19:00"),
        to: time("21:00"),
        days: Vec::new(),
        zone: None,
        except: Some(Severity::Critical),
    };
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, config::Delivery { quiet: Some(quiet), ..at_once() });
    let warning = |check| Notice {
        severity: Severity::Warning,
        about: Severity::Warning,
        ..notice(&format!("{check}:F"))
    };
    desk.put_for("mail", [warning("a"), notice("b:F"), warning("b")]).await;
    let held = desk.held().await;
    assert_eq!(held[0], at("a", Wait::Quiet, 3600.0));
    for (check, held) in &held[1..] {
        let (wait, until) = held.unwrap_or_else(|| panic!("{check} is tried again"));
        assert_eq!((check.as_str(), wait), ("b", Wait::Retry));
        assert!((1.0..=2.0).contains(&until), "{until}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_tried_again_alone_says_so() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    *ear.dislikes.lock() = Some("bad".into());
    desk.employ("mail", &ear, false, at_once());
    desk.put("bad:F a:F").await;
    let held = desk.held().await;
    let [(bad, Some((Wait::Retry, until)))] = &held[..] else { panic!("{held:?}") };
    assert!(bad == "bad" && (1.0..=2.0).contains(until), "{held:?}");
}
