//! When it is tried again.

use super::*;

/// The times between tries, in seconds.
fn pauses(ear: &Ear) -> Vec<f64> {
    ear.tried().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[track_caller]
fn grow(pauses: &[f64]) {
    assert!(pauses.len() > 10, "{pauses:?}");
    for (n, pause) in pauses.iter().enumerate() {
        let full = (2.0 * 2_f64.powi(i32::try_from(n).expect("few"))).min(3600.0);
        // Time goes in steps of a second here.
        assert!((full / 2.0..=full + 1.0).contains(pause), "pause {n} of {pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_an_hour() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F").await;
    desk.pass(secs(4 * 3600)).await;
    grow(&pauses(&ear));
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_although_more_and_more_is_to_be_told() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    for n in 0..240 {
        desk.put(&format!("check-{n}:F")).await;
        desk.pass(secs(60)).await;
    }
    grow(&pauses(&ear));
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_be_left_alone_is_obeyed_whatever_comes() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, at_once());
    let wish = TellError::passing("429 too many").retry_after(Some(secs(120)));
    ear.answers.lock().extend([Err(wish.clone()), Err(wish)]);
    desk.put("a:F").await;
    for n in 0..100 {
        desk.pass(secs(1)).await;
        desk.put(&format!("check-{n}:F")).await;
        // What could not be stored is no reason either.
        desk.tell_unstored("z:F").await;
    }
    assert_eq!(ear.tried(), [0.0]);
    desk.pass(secs(20)).await;
    assert_eq!(ear.tried(), [0.0, 120.0]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_be_left_alone_for_ever_is_not() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, at_once());
    let wish = TellError::passing("503").retry_after(Some(Duration::MAX));
    ear.answers.lock().push_back(Err(wish));
    desk.put("a:F").await;
    desk.pass_by(secs(24 * 3600 - 60), secs(60)).await;
    assert_eq!(ear.told(), [""; 0]);
    desk.pass_by(secs(60), secs(60)).await;
    assert_eq!(ear.told(), ["86400 a:F"]);
}

#[tokio::test(start_paused = true)]
async fn who_wants_it_sent_now_has_it_tried_now_and_a_start_does_too() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F").await;
    desk.pass(secs(600)).await;
    let tries = ear.tried().len();
    desk.roster.send_again(None).await.expect("written");
    desk.settle().await;
    assert_eq!(ear.tried().len(), tries + 1);
    // Another worker, as after a restart.
    desk.stop.cancel();
    desk.settle().await;
    desk.stop = CancellationToken::new();
    ear.up();
    desk.employ("mail", &ear, true, at_once());
    desk.settle().await;
    assert_eq!(ear.told(), ["600 a:F"]);
}
