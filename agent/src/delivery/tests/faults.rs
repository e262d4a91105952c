//! Faults that were mended.

use fletchck_shared::config::Delivery as Rules;
use serde_json::json;

use super::*;

#[tokio::test]
async fn what_is_being_told_while_the_configuration_is_reloaded_is_told_once() {
    let desk = Desk::open();
    let heard = desk._folder.path().join("heard");
    // It takes longer than anybody waits at the end of the program.
    let script = format!("echo told >> '{}'; sleep 3", heard.display());
    let options = json!({ "command": ["/bin/sh", "-c", script], "timeout": 20 });
    let action = config::Action {
        kind: "exec".into(),
        options: options.as_object().cloned().expect("options"),
        severity: Severity::Warning,
        delivery: Rules::default(),
    };
    let name = ActionName::try_from("mail").expect("a name");
    let actions = IndexMap::from([(name, action)]);
    let mut delivery = Delivery::start(&actions, office(&desk.store), desk.stop.clone());
    desk.put("a:F").await;
    let lines = || std::fs::read_to_string(&heard).unwrap_or_default().lines().count();
    while lines() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for link in ["https://one.example", "https://two.example"] {
        delivery.take_over(&actions, Tz::UTC, Some(link.into()));
    }
    while desk.waiting().await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(lines(), 1);
    // Who took over tells on.
    desk.put("a:P").await;
    while desk.waiting().await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(lines(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_and_could_not_be_noted_is_not_told_again_by_the_next_worker() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, at_once());
    ear.answers.lock().push_back(Err(TellError::passing("away")));
    desk.put("a:F").await;
    desk.refuse(true).await;
    desk.pass(secs(5)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (1, 1));
    desk.stop.cancel();
    desk.settle().await;
    desk.stop = CancellationToken::new();
    desk.roster.leave(&ActionName::try_from("mail").expect("a name"));
    desk.employ("mail", &ear, true, at_once());
    desk.pass(secs(10)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (1, 1));
    desk.refuse(false).await;
    desk.pass(secs(5)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_action_that_breaks_is_tried_again_in_growing_pauses() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    *ear.breaks.lock() = 3;
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F").await;
    assert_eq!(ear.tried().len(), 1);
    desk.pass(secs(20)).await;
    assert_eq!((ear.tried().len(), desk.waiting().await), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_breaks_goes_on_after_a_pause() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, at_once());
    desk.settle().await;
    BROKEN.set(2);
    desk.put("a:F").await;
    desk.pass(secs(5)).await;
    assert_eq!((ear.told().len(), BROKEN.get()), (0, 0));
    desk.pass(secs(1)).await;
    assert_eq!(ear.told(), ["6 a:F"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_ahead_gives_nothing_up() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F").await;
    desk.pass(secs(60)).await;
    AHEAD.set(4);
    desk.pass_by(secs(24 * 3600), secs(60)).await;
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (1, 0));
    // After a start as well, what has been tried for long enough before is tried for a while.
    desk.stop.cancel();
    desk.settle().await;
    desk.stop = CancellationToken::new();
    desk.employ("mail", &ear, true, at_once());
    desk.pass_by(secs(5 * 3600), secs(60)).await;
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (1, 0));
    desk.pass_by(secs(2 * 3600), secs(60)).await;
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (0, 1));
}
