//! What the store refuses is told all the same.

use super::*;

impl Desk {
    /// Has the store refuse to be written, as on a full disk, or take it again.
    async fn refuse(&self, refuses: bool) {
        let pragma = format!("PRAGMA query_only = {}", u8::from(refuses));
        self.store.call(move |db| db.execute_batch(&pragma)).await.expect("set");
    }

    /// What could not be stored.
    async fn tell_unstored(&self, news: &str) {
        let name = ActionName::try_from("mail").expect("a name");
        let unstored = &self.unstored[&name];
        unstored.notices.lock().push_back(notice(news));
        unstored.added.notify_one();
        self.settle().await;
    }
}

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
    assert_eq!(told, ["a:FP", "b:F"]);
    // That they were told is noted once it can be, and until then they are not told again.
    desk.pass(secs(60)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (2, 2));
    desk.refuse(false).await;
    desk.pass(secs(5)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_stored_is_told_in_its_order_and_tried_again() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.refuse(true).await;
    desk.tell_unstored("a:F").await;
    desk.tell_unstored("a:P").await;
    desk.pass(secs(30)).await;
    assert_eq!(ear.tried(), [0.0, 20.0]);
    ear.up();
    desk.pass(secs(10)).await;
    assert_eq!(ear.told(), ["40 a:F", "40 a:P"]);
}
