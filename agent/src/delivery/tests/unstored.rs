//! What the store refuses is told all the same.

use super::*;
use crate::store::StoreError;

#[tokio::test(start_paused = true)]
async fn a_recovery_that_could_not_be_stored_is_not_told_before_its_failure() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F b:F").await;
    desk.refuse(true).await;
    desk.tell_unstored("a:P").await;
    ear.up();
    desk.pass(secs(10)).await;
    let told: Vec<_> =
        ear.told().iter().map(|told| told.split_once(' ').expect("a time").1.to_owned()).collect();
    assert_eq!(told, ["a:FP b:F"]);
    // That they were told is noted once it can be, and until then they are not told again.
    desk.pass(secs(60)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (1, 2));
    desk.refuse(false).await;
    desk.pass(secs(5)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_stored_is_told_in_its_order_and_tried_again() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.refuse(true).await;
    desk.tell_unstored("a:F").await;
    desk.tell_unstored("a:P").await;
    desk.pass(secs(30)).await;
    assert!((4..=7).contains(&ear.tried().len()), "in growing pauses: {:?}", ear.tried());
    ear.up();
    desk.pass(secs(40)).await;
    let told = ear.told();
    assert!(matches!(&told[..], [one] if one.ends_with(" a:FP")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_could_not_be_stored_are_one_message() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery::default());
    desk.refuse(true).await;
    let all: Vec<_> = (0..1000).map(|n| format!("check-{n}:F")).collect();
    desk.tell_unstored(&all.join(" ")).await;
    assert!(ear.told().is_empty(), "more may come");
    desk.pass(secs(60)).await;
    let letters: Vec<_> = ear
        .tries
        .lock()
        .iter()
        .map(|(at, letter, _)| (seconds(*at), letter.entries.len()))
        .collect();
    assert_eq!(letters, [(5.0, 1000)]);
}

#[tokio::test(start_paused = true)]
async fn what_could_neither_be_stored_nor_told_goes_to_the_failover() {
    let (mut desk, ear, other) = (Desk::open(), Arc::<Ear>::default(), Arc::<Ear>::default());
    let failover = ActionName::try_from("sms").ok();
    desk.employ("sms", &other, true, at_once());
    desk.employ("mail", &ear, true, config::Delivery { failover, ..at_once() });
    *ear.down.lock() = Some(TellError::permanent("550 no such user"));
    desk.refuse(true).await;
    desk.tell_unstored("a:F").await;
    desk.pass(secs(60)).await;
    assert_eq!((ear.tried(), other.told()), (vec![0.0], vec!["0 a:F".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_is_told_while_too_many_come_that_cannot_be_stored_takes_no_other_along() {
    let (mut desk, ear) = (Desk::open(), Arc::new(Ear { slow: secs(10), ..Ear::default() }));
    desk.employ("mail", &ear, true, at_once());
    desk.refuse(true).await;
    desk.tell_unstored("a:F").await;
    // The one that is being told is the oldest, and has to make room.
    let all: Vec<_> = (0..1000).map(|n| format!("check-{n}:F")).collect();
    desk.tell_unstored(&all.join(" ")).await;
    desk.pass(secs(30)).await;
    let letters: Vec<_> =
        ear.tries.lock().iter().map(|(_, letter, _)| letter.entries.len()).collect();
    assert_eq!(letters, [1, 1000]);
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_all_is_told_once() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F b:F").await;
    desk.fill(true).await;
    // As the engine does: what the store does not take is told all the same.
    let new = ["c:F", "a:P"].map(|news| NewDelivery {
        action: ActionName::try_from("mail").expect("a name"),
        group: String::new(),
        notice: Notice { text: "no answer ".repeat(1000), ..notice(news) },
        made: now(),
    });
    let batch = Batch { deliveries: new.into(), ..Batch::default() };
    let (batch, reason) = desk.store.commit(batch).await.expect_err("full");
    let StoreError::Statement(reason) = reason else { panic!("{reason:?}") };
    assert_eq!(reason.sqlite_error_code(), Some(ErrorCode::DiskFull));
    batch.deliveries.into_iter().for_each(|new| desk.roster.tell_unstored(new));
    desk.pass(secs(20)).await;
    ear.up();
    desk.pass(secs(60)).await;
    let said = |told: &String| told.split_once(' ').expect("a time").1.to_owned();
    assert_eq!(ear.told().iter().map(said).collect::<Vec<_>>(), ["a:FP b:F c:F"]);
    desk.fill(false).await;
    desk.put("d:F").await;
    desk.pass(secs(5)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (2, 0));
}
