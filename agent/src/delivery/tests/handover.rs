//! Others take the place of workers, as in a reload.

use super::*;

/// The workers as a site has them.
struct Site {
    desk: Desk,
    delivery: Delivery,
}

impl Site {
    fn open() -> Self {
        let desk = Desk::open();
        let delivery = Delivery::start(&IndexMap::new(), office(&desk.store), desk.stop.clone());
        Self { desk, delivery }
    }

    /// Has `mail` be this ear from now on.
    async fn reload(&mut self, ear: &Arc<Ear>) {
        let name = ActionName::try_from("mail").expect("a name");
        let configured = config::Action {
            kind: "email".into(),
            options: serde_json::Map::new(),
            severity: Severity::Warning,
            delivery: at_once(),
        };
        self.delivery.retire(&name);
        let action: Arc<dyn Action> = ear.clone();
        self.delivery.hire(&name, &configured, &action, true);
        self.desk.settle().await;
    }

    async fn put(&self, to: &str, news: &str) {
        self.desk.put_to("mail", to, news.split(' ').map(notice)).await;
    }
}

/// Somebody with these groups, the first of whom answers like this.
fn ear(groups: &[&str], first: Ear) -> Arc<Ear> {
    let groups: Vec<_> = groups.iter().map(|group| (*group).to_owned()).collect();
    Arc::new(Ear { only: groups.first().cloned(), groups, ..first })
}

#[tokio::test(start_paused = true)]
async fn who_takes_long_to_be_told_is_told_once_over_a_reload() {
    let mut site = Site::open();
    let slow = ear(&[], Ear { slow: secs(900), ..Ear::default() });
    site.reload(&slow).await;
    site.put("", "a:F").await;
    for _ in 0..3 {
        site.reload(&slow).await;
        site.desk.pass_by(secs(200), secs(10)).await;
    }
    site.desk.pass_by(secs(600), secs(10)).await;
    assert_eq!((slow.told(), site.desk.waiting().await), (vec!["0 a:F".to_owned()], 0));
    site.put("", "a:P").await;
    assert_eq!(slow.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hangs_over_a_reload_delays_no_other() {
    let mut site = Site::open();
    let groups = ["ann", "bob", "cleo"];
    let before = ear(&groups, Ear { hangs: true, ..Ear::default() });
    site.reload(&before).await;
    site.put("ann", "a:F").await;
    let after = ear(&groups, Ear::default());
    for news in ["a:F", "b:F"] {
        site.reload(&after).await;
        site.put("bob", news).await;
        site.put("cleo", news).await;
    }
    assert_eq!(after.told(), ["0 a:F", "0 a:F", "0 b:F", "0 b:F"]);
    assert_eq!((before.tried().len(), site.desk.waiting().await), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_recipient_is_being_told_who_is_no_more_is_told_to_no_other_and_the_rest_is() {
    let mut site = Site::open();
    let before = ear(&["ann", "bob"], Ear { slow: secs(600), ..Ear::default() });
    site.reload(&before).await;
    site.put("ann", "a:F").await;
    site.put("ann", "b:F").await;
    let unstored = NewDelivery {
        action: ActionName::try_from("mail").expect("a name"),
        group: "ann".into(),
        notice: notice("c:F"),
        made: now(),
    };
    site.delivery.tell_unstored(unstored);
    let after = ear(&["bob"], Ear::default());
    site.reload(&after).await;
    site.reload(&after).await;
    site.put("bob", "d:F").await;
    site.desk.pass_by(secs(590), secs(10)).await;
    assert_eq!((before.told(), after.told()), (vec!["0 a:F".into()], vec!["0 d:F".into()]));
    site.desk.pass_by(secs(20), secs(10)).await;
    assert_eq!(after.told()[1..], ["600 b:F c:F"]);
    assert_eq!((before.told().len(), site.desk.waiting().await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hangs_delays_no_other() {
    let mut site = Site::open();
    let groups = ["ann", "bob", "cleo"];
    let ear = ear(&groups, Ear { hangs: true, ..Ear::default() });
    site.reload(&ear).await;
    for n in 0..50 {
        for group in groups {
            site.put(group, &format!("check-{n}:F")).await;
        }
    }
    assert_eq!((ear.told().len(), ear.tried().len()), (100, 101));
    assert_eq!(site.desk.waiting().await, 50);
}

#[tokio::test(start_paused = true)]
async fn what_a_store_would_not_hand_on_is_handed_on_once_it_does() {
    let mut site = Site::open();
    let away = Mutex::new(Some(TellError::passing("away")));
    site.reload(&ear(&["ann", "bob"], Ear { down: away, ..Ear::default() })).await;
    site.put("ann", "a:F").await;
    site.desk.refuse(true).await;
    let after = ear(&["bob"], Ear::default());
    site.reload(&after).await;
    site.desk.pass(secs(120)).await;
    assert!(after.told().is_empty());
    site.desk.refuse(false).await;
    site.desk.pass(secs(61)).await;
    assert_eq!((after.told().len(), site.desk.waiting().await), (1, 0));
}
