//! The clock is set while something is to be told.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery::default());
    desk.put("a:F").await;
    AHEAD.set(-1);
    desk.put("b:F").await;
    desk.pass(secs(8)).await;
    assert_eq!((ear.letters(), desk.waiting().await), (vec![(5.0, 2)], 0));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_could_not_be_stored_follows_its_failure_whatever_the_clock_says() {
    for (stored, unstored, told) in [("a:F", "a:P", "a:FP"), ("a:P", "a:F", "a:PF")] {
        let (mut desk, ear) = (Desk::open(), Ear::down("away"));
        desk.employ("mail", &ear, true, at_once());
        desk.put(stored).await;
        desk.refuse(true).await;
        let (action, group) = (ActionName::try_from("mail").expect("a name"), String::new());
        let made = now() - TimeDelta::hours(3);
        let notice = notice(unstored);
        desk.roster.tell_unstored(NewDelivery { action, group, notice, made });
        ear.up();
        desk.pass(secs(10)).await;
        let heard = ear.told();
        assert!(matches!(&heard[..], [one] if one.ends_with(told)), "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_after_what_could_not_be_follows_it_whatever_the_clock_says() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("z:F").await;
    desk.refuse(true).await;
    let (action, group) = (ActionName::try_from("mail").expect("a name"), String::new());
    let made = now() + TimeDelta::hours(3);
    desk.roster.tell_unstored(NewDelivery { action, group, notice: notice("a:F"), made });
    desk.refuse(false).await;
    desk.put("a:P").await;
    ear.up();
    desk.pass(secs(10)).await;
    let heard = ear.told();
    assert!(matches!(&heard[..], [one] if one.ends_with(" z:F a:FP")), "{heard:?}");
}
