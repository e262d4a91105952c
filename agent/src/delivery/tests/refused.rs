//! What becomes of a letter of many checks that the other side refuses for good.

use super::*;

fn many(count: usize) -> String {
    (0..count).map(|n| format!("check-{n}:F")).collect::<Vec<_>>().join(" ")
}

/// Mail, and a phone that stands in for it.
fn with_phone() -> (Desk, Arc<Ear>, Arc<Ear>) {
    let (mut desk, mail, phone) = (Desk::open(), Arc::<Ear>::default(), Arc::<Ear>::default());
    let failover = ActionName::try_from("sms").ok();
    desk.employ("sms", &phone, true, at_once());
    desk.employ("mail", &mail, true, config::Delivery { failover, ..at_once() });
    (desk, mail, phone)
}

#[tokio::test(start_paused = true)]
async fn one_check_that_is_refused_for_good_takes_no_other_along() {
    let (desk, mail, phone) = with_phone();
    *mail.refuses.lock() = vec!["check-17".into(), "check-60".into()];
    desk.put(&many(100)).await;
    desk.pass(secs(60)).await;
    let dead: Vec<_> = desk.dead().await.iter().map(|dead| dead.notice.check.to_string()).collect();
    assert_eq!(dead, ["check-60", "check-17"]);
    assert_eq!(mail.letters().iter().map(|(_, checks)| checks).sum::<usize>(), 98);
    assert!(mail.tried().len() <= 40, "{} tries", mail.tried().len());
    assert_eq!(phone.letters().iter().map(|(_, checks)| checks).sum::<usize>(), 2);
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_at_all_is_not_tried_with_each_of_a_thousand_checks() {
    let (desk, mail, phone) = with_phone();
    *mail.down.lock() = Some(TellError::permanent("550 no such user"));
    desk.put(&many(1000)).await;
    desk.pass(secs(60)).await;
    assert!(mail.tried().len() <= 10, "{} tries", mail.tried().len());
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (0, 1000));
    assert_eq!(phone.letters().iter().map(|(_, checks)| checks).sum::<usize>(), 1000);
    assert!(phone.letters().len() <= 7, "{:?}", phone.letters());
}

#[tokio::test(start_paused = true)]
async fn a_refused_letter_is_looked_into_no_faster_than_may_be_told() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    *ear.refuses.lock() = (0..100).step_by(2).map(|n| format!("check-{n}")).collect();
    desk.employ("mail", &ear, true, config::Delivery { rate: Some(60), ..at_once() });
    desk.put(&many(100)).await;
    desk.pass(secs(1)).await;
    assert!(ear.tried().len() <= 12, "{:?}", ear.tried());
    desk.pass_by(secs(600), secs(5)).await;
    assert!(ear.tried().len() <= 23, "{:?}", ear.tried());
    desk.pass_by(secs(4 * 3600), secs(30)).await;
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (0, 50));
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_refused_letter_is_looked_into_keeps_its_order() {
    let (mut desk, ear) = (Desk::open(), Arc::new(Ear { slow: secs(1), ..Ear::default() }));
    *ear.refuses.lock() = vec!["check-3".into()];
    desk.employ("mail", &ear, true, at_once());
    desk.put(&many(40)).await;
    desk.pass(secs(2)).await;
    desk.put("check-30:P check-3:P").await;
    *ear.refuses.lock() = Vec::new();
    desk.pass(secs(60)).await;
    let told: Vec<_> = ear.told().iter().map(|told| format!("{told} ")).collect();
    let place = |what: &str| told.iter().position(|told| told.contains(what));
    assert!(
        place("check-30:F ").is_some() && place("check-30:F ") < place("check-30:P "),
        "{told:?}"
    );
    assert!(place("check-3:F ") < place("check-3:P "), "{told:?}");
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (0, 0));
}

/// It waited until all of the letter was looked into, which took hours.
#[tokio::test(start_paused = true)]
async fn what_comes_while_a_refused_letter_is_looked_into_is_told_at_once() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    *ear.refuses.lock() = (0..100).step_by(3).map(|n| format!("check-{n}")).collect();
    desk.employ("mail", &ear, true, config::Delivery { rate: Some(60), ..at_once() });
    desk.put(&many(100)).await;
    desk.pass_by(secs(600), secs(5)).await;
    assert!(desk.waiting().await > 50);
    desk.put("new:F check-98:P").await;
    desk.pass_by(secs(61), secs(1)).await;
    let letters = ear.told();
    assert!(letters.last().is_some_and(|told| told.ends_with(" new:F")), "{letters:?}");
    // Of several that come at once one is refused as well.
    *ear.refuses.lock() = vec!["worse".into()];
    desk.put("worse:F better:F").await;
    desk.pass_by(secs(8 * 3600), secs(30)).await;
    let told = ear.told().join(" ");
    assert_eq!((desk.waiting().await, desk.dead().await.len() < 20), (0, true), "{told}");
    assert!(told.contains("better:F") && told.contains("check-98:P"), "{told}");
    assert!(told.find("check-98:F") < told.find("check-98:P"), "{told}");
    assert!(desk.dead().await.iter().any(|dead| dead.notice.check.as_str() == "worse"));
}
