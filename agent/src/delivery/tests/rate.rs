//! How often it is told, and how long it is waited for more.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_taken_lets_no_others_through_beyond_the_rate() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    *ear.dislikes.lock() = Some("bad".into());
    desk.employ("mail", &ear, false, config::Delivery { rate: Some(10), ..at_once() });
    desk.put("bad:F").await;
    let all: Vec<_> = (0..30).map(|n| format!("check-{n}:F")).collect();
    desk.put(&all.join(" ")).await;
    desk.pass(secs(5)).await;
    assert_eq!(ear.told().len(), 2, "a fifth of them at once");
    // What has failed meanwhile has cost the others nothing.
    desk.pass_by(secs(3600), secs(5)).await;
    assert!((11..=12).contains(&ear.told().len()), "{:?}", ear.told());
    // Once it is taken it counts like any other.
    *ear.dislikes.lock() = None;
    desk.pass_by(secs(3600), secs(5)).await;
    assert!((21..=22).contains(&ear.told().len()), "{:?}", ear.told());
    assert!(ear.told().iter().any(|told| told.ends_with("bad:F")), "{:?}", ear.told());
}
