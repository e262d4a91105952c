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
    // Its last pause may well be an hour.
    desk.pass_by(secs(3600), secs(5)).await;
    assert!(ear.told().iter().any(|told| told.ends_with("bad:F")), "{:?}", ear.told());
}

#[tokio::test(start_paused = true)]
async fn checks_that_fail_one_after_another_are_told_in_few_messages() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery::default());
    // A fleet whose checks run every five minutes loses what they all need.
    for n in 0..300 {
        desk.put(&format!("check-{n}:F")).await;
        desk.pass(secs(1)).await;
    }
    desk.pass(secs(60)).await;
    let letters = ear.letters();
    assert_eq!(letters.iter().map(|(_, checks)| checks).sum::<usize>(), 300);
    assert!(letters.len() <= 8, "{letters:?}");
    assert!((letters[0].0 - 5.0).abs() < 1.5, "the first comes soon: {letters:?}");
    // Afterwards nobody waits longer than ever.
    desk.pass_by(secs(600), secs(10)).await;
    let began = seconds(now());
    desk.put("later:F").await;
    desk.pass(secs(10)).await;
    let (at, _) = *ear.letters().last().expect("a letter");
    assert!((at - began - 5.0).abs() < 1.5, "{at}, not {began} + 5");
}
