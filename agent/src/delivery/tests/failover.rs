//! Who hears the end of what another one was told in their place, and what becomes of what was given up.

use fletchck_shared::state::{Condition, State};

use super::*;

/// Mail, which is down, and a phone that stands in for it.
fn with_phone() -> (Desk, Arc<Ear>, Arc<Ear>) {
    let (mut desk, mail, phone) = (Desk::open(), Ear::down("away"), Arc::<Ear>::default());
    let retry_for = config::Delivery::RETRY_BEFORE_FAILOVER;
    let failover = ActionName::try_from("sms").ok();
    desk.employ("sms", &phone, true, at_once());
    desk.employ("mail", &mail, true, config::Delivery { failover, retry_for, ..at_once() });
    (desk, mail, phone)
}

/// What an ear was told, without the times.
fn heard(ear: &Ear) -> Vec<String> {
    let told = ear.told().into_iter();
    told.map(|told| told.split_once(' ').expect("a time").1.to_owned()).collect()
}

impl Desk {
    async fn is_well(&self, check: &str) {
        let state = State { condition: Condition::Pass, ..State::default() };
        let states = [(CheckName::try_from(check).expect("a name"), state)].into_iter();
        let batch = Batch { states: states.collect(), ..Batch::default() };
        self.store.commit(batch).await.expect("stored");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_told_of_a_failure_in_place_of_another_hears_its_end_and_the_other_hears_both() {
    let (desk, mail, phone) = with_phone();
    desk.put("a:F").await;
    desk.pass(secs(3600)).await;
    assert_eq!((heard(&mail).len(), heard(&phone)), (0, vec!["a:F".to_owned()]));
    mail.up();
    desk.put("a:P").await;
    assert_eq!(
        (heard(&mail), heard(&phone)),
        (vec!["a:FP".into()], vec!["a:F".into(), "a:P".into()])
    );
    assert!(desk.dead().await.is_empty(), "all of it was told");
    // It is over: the next incident is none of the phone's.
    desk.put("a:F").await;
    desk.put("a:P").await;
    assert_eq!((heard(&mail).len(), heard(&phone).len()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_once_to_who_stands_in_although_it_is_given_up_as_well() {
    let (desk, mail, phone) = with_phone();
    desk.put("a:F").await;
    desk.pass(secs(3600)).await;
    desk.put("a:P").await;
    assert_eq!(heard(&phone), ["a:F", "a:P"]);
    desk.pass(secs(3600)).await;
    assert_eq!((heard(&phone).len(), desk.dead().await.len()), (2, 2));
    mail.up();
    desk.put("a:F").await;
    assert_eq!((heard(&mail), desk.dead().await.len()), (vec!["a:FPF".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_still_tried_when_its_failure_is_handed_over_is_handed_over_too() {
    let (desk, _, phone) = with_phone();
    desk.put("a:F").await;
    desk.pass(secs(800)).await;
    desk.put("a:P").await;
    // The pauses have their jitter: neither when the first try after a quarter of an hour comes is known, nor which of the
    // tries before it the end shared.
    let mut left = 2 * 3600;
    while heard(&phone).is_empty() && left > 0 {
        desk.pass(STEP).await;
        left -= 1;
    }
    assert_eq!((heard(&phone), desk.dead().await.len()), (vec!["a:FP".to_owned()], 1));
    desk.pass_by(secs(24 * 3600), secs(60)).await;
    assert_eq!((heard(&phone).len(), desk.dead().await.len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn who_hears_the_end_anyway_hears_it_once() {
    let (desk, _, phone) = with_phone();
    desk.put("a:F").await;
    desk.pass(secs(3600)).await;
    let of = |action: &str| NewDelivery {
        action: ActionName::try_from(action).expect("a name"),
        group: String::new(),
        notice: notice("a:P"),
        made: now(),
    };
    let batch = Batch { deliveries: vec![of("mail"), of("sms")], ..Batch::default() };
    desk.store.commit(batch).await.expect("stored");
    desk.settle().await;
    assert_eq!(heard(&phone), ["a:F", "a:P"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_told_with_the_end_and_not_after_it() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, at_once());
    let refused = || Err(TellError::permanent("550 no such user"));
    ear.answers.lock().push_back(refused());
    desk.put("a:F").await;
    desk.put("a:P").await;
    assert_eq!(heard(&ear), ["a:FP"]);
    let revived = desk.roster.send_again(None).await.expect("written");
    assert_eq!((revived.again, revived.over), (0, 0));
    // Where only the failure was refused, its end is told all the same.
    ear.answers.lock().extend([refused(), refused()]);
    desk.put("b:F").await;
    desk.put("b:P").await;
    assert_eq!(heard(&ear)[1..], ["b:P"]);
    // And who sends the failure again is told that it is over.
    desk.is_well("b").await;
    let revived = desk.roster.send_again(None).await.expect("written");
    assert_eq!((revived.again, revived.over, desk.dead().await.len()), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_sent_again_takes_its_end_along() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, at_once());
    let refused = || Err(TellError::permanent("550 no such user"));
    // The end is refused with its failure and without it.
    ear.answers.lock().extend([refused(), refused(), refused()]);
    desk.put("a:F").await;
    desk.put("a:P").await;
    desk.is_well("a").await;
    let dead = desk.dead().await;
    assert_eq!(dead.len(), 2);
    let failure = dead.iter().map(|dead| dead.id).min();
    let revived = desk.roster.send_again(failure).await.expect("written");
    desk.settle().await;
    assert_eq!((revived.again, heard(&ear)), (2, vec!["a:FP".to_owned()]));
}
