//! A letter that was cut off is sent again as it was.

use super::*;

impl Ear {
    /// The number of each letter that was tried, and what it said.
    fn ids(&self) -> Vec<(String, String)> {
        let tries = self.tries.lock();
        tries.iter().map(|(_, letter, _)| (letter.id.clone(), said(letter))).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_is_sent_again_as_it_was_and_what_came_since_after_it() {
    let hanging = Arc::new(Ear { hangs: true, ..Ear::default() });
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &hanging, true, at_once());
    desk.put("a:F b:F").await;
    desk.put("a:P c:F").await;
    desk.dismiss().await;
    desk.employ("mail", &ear, true, config::Delivery::default());
    desk.pass(secs(10)).await;
    let (first, told) = (hanging.ids(), ear.ids());
    assert_eq!(first.len(), 1);
    assert_eq!(told[0], first[0]);
    assert_eq!(told[1].1, "a:P c:F");
    assert_eq!((told.len(), desk.waiting().await), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_stays_as_it_was_although_it_fails_when_it_is_sent_again() {
    let hanging = Arc::new(Ear { hangs: true, ..Ear::default() });
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &hanging, true, at_once());
    desk.put("a:F b:F").await;
    desk.put("a:P c:F").await;
    desk.dismiss().await;
    desk.employ("mail", &ear, true, at_once());
    desk.pass(secs(20)).await;
    ear.up();
    desk.pass(secs(60)).await;
    let (first, told) = (hanging.ids(), ear.ids());
    assert!(told.len() > 3, "{told:?}");
    assert!(told[..told.len() - 1].iter().all(|told| *told == first[0]), "{told:?}");
    assert_eq!(told[told.len() - 1].1, "a:P c:F");
}

#[tokio::test(start_paused = true)]
async fn what_failed_takes_along_what_came_since() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F b:F").await;
    desk.put("a:P c:F").await;
    desk.dismiss().await;
    ear.up();
    desk.employ("mail", &ear, true, at_once());
    desk.pass(secs(5)).await;
    assert_eq!(ear.ids().last().map(|(_, said)| said.as_str()), Some("a:FP b:F c:F"));
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_with_what_had_been_given_up_is_sent_again_with_it() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, at_once());
    ear.answers.lock().push_back(Err(TellError::permanent("550 no such user")));
    desk.put("b:F").await;
    desk.put("x:F").await;
    desk.dismiss().await;
    let hanging = Arc::new(Ear { hangs: true, ..Ear::default() });
    desk.employ("mail", &hanging, true, at_once());
    desk.put("a:F b:P").await;
    desk.dismiss().await;
    desk.put("a:P").await;
    desk.employ("mail", &ear, true, at_once());
    desk.pass(secs(5)).await;
    let (first, told) = (hanging.ids(), ear.ids());
    assert_eq!(first[0].1, "a:F b:FP");
    assert_eq!(told[2..], [first[0].clone(), (told[3].0.clone(), "a:P".into())]);
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_is_tried_again_in_pauses_and_holds_up_no_other_check() {
    let hanging = Arc::new(Ear { hangs: true, ..Ear::default() });
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &hanging, false, at_once());
    desk.put("a:F").await;
    desk.put("a:P b:F").await;
    desk.dismiss().await;
    *ear.dislikes.lock() = Some("a".into());
    desk.employ("mail", &ear, false, at_once());
    desk.pass(secs(60)).await;
    let ids = ear.ids();
    let (of_a, others): (Vec<_>, Vec<_>) = ids.iter().partition(|(_, said)| said.starts_with("a:"));
    assert!((4..=7).contains(&of_a.len()), "in growing pauses: {ids:?}");
    assert!(of_a.iter().all(|told| **told == hanging.ids()[0]), "{ids:?}");
    assert_eq!(others.iter().map(|(_, said)| said.as_str()).collect::<Vec<_>>(), ["b:F"]);
    *ear.dislikes.lock() = None;
    desk.pass(secs(120)).await;
    let told = ear.told();
    assert!(told[1].ends_with(" a:F") && told[2].ends_with(" a:P"), "{told:?}");
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_were_cut_off_the_second_stays_as_it_was_while_the_first_is_tried_again() {
    let hanging = || Arc::new(Ear { hangs: true, ..Ear::default() });
    let (mut desk, first, second) = (Desk::open(), hanging(), hanging());
    desk.employ("mail", &first, false, at_once());
    desk.put("a:F").await;
    desk.dismiss().await;
    *second.dislikes.lock() = Some("a".into());
    desk.employ("mail", &second, false, at_once());
    desk.put("b:F").await;
    desk.dismiss().await;
    let ear = Arc::<Ear>::default();
    *ear.dislikes.lock() = Some("a".into());
    desk.put("a:P b:P").await;
    desk.employ("mail", &ear, false, at_once());
    desk.settle().await;
    let (cut_off, told) = ([&first.ids()[0], &second.ids()[1]], ear.ids());
    assert_eq!(cut_off.map(|(_, said)| said.as_str()), ["a:F", "b:F"]);
    assert_eq!((&told[0], &told[1], told[2].1.as_str()), (cut_off[0], cut_off[1], "b:P"));
    *ear.dislikes.lock() = None;
    desk.pass(secs(10)).await;
    let told = ear.ids();
    assert_eq!((&told[told.len() - 2], told[told.len() - 1].1.as_str()), (cut_off[0], "a:P"));
    assert_eq!(desk.waiting().await, 0);
}

/// It was sent again and again, without a pause, and nothing else was.
#[tokio::test(start_paused = true)]
async fn what_was_cut_off_and_is_refused_holds_up_nothing_although_the_store_refuses() {
    let hanging = Arc::new(Ear { hangs: true, ..Ear::default() });
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    *ear.down.lock() = Some(TellError::permanent("550 no such user"));
    desk.employ("mail", &hanging, true, at_once());
    desk.put("a:F b:F").await;
    desk.put("c:F").await;
    desk.dismiss().await;
    desk.refuse(true).await;
    desk.employ("mail", &ear, true, at_once());
    desk.pass(secs(60)).await;
    let tried = ear.ids();
    assert!(tried.iter().any(|(_, said)| said.contains("c:F")), "{tried:?}");
    assert!((5..=61).contains(&tried.len()), "{tried:?}");
    desk.refuse(false).await;
    desk.pass(secs(60)).await;
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (0, 3));
}
