//! Recipients that are others after a reload.

use super::*;

fn group(name: &str) -> Arc<Ear> {
    Arc::new(Ear { groups: vec![name.into()], ..Ear::default() })
}

impl Desk {
    /// Ends the workers of two actions, which are others from now on.
    async fn reload(&mut self) {
        self.dismiss().await;
        for name in ["mail", "sms"] {
            self.roster.leave(&ActionName::try_from(name).expect("a name"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_reaches_who_stood_in_for_a_recipient_and_was_one_that_has_another_name_now() {
    for (phone_before, phone_after) in [("one", "one"), ("one", "two")] {
        let (mut desk, ann, bob) = (Desk::open(), group("ann"), group("bob"));
        *ann.down.lock() = Some(TellError::permanent("550 no such user"));
        let (before, after) = (group(phone_before), group(phone_after));
        let rules = || config::Delivery { failover: ActionName::try_from("sms").ok(), ..at_once() };
        desk.employ("sms", &before, true, at_once());
        desk.employ("mail", &ann, true, rules());
        desk.settle().await;
        desk.put_to("mail", "ann", [notice("a:F")]).await;
        assert_eq!((before.told().len(), desk.dead().await.len()), (1, 1));
        desk.reload().await;
        desk.employ("sms", &after, true, at_once());
        desk.employ("mail", &bob, true, rules());
        desk.settle().await;
        desk.put_to("mail", "bob", [notice("a:P")]).await;
        assert!(bob.told().last().is_some_and(|told| told.ends_with("P")), "{:?}", bob.told());
        assert!(
            after.told().last().is_some_and(|told| told.ends_with("a:P")),
            "{:?}",
            after.told()
        );
        assert_eq!(desk.waiting().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_reaches_somebody_although_its_recipient_is_no_more() {
    let (mut desk, ann, bob) = (Desk::open(), group("ann"), group("bob"));
    *ann.down.lock() = Some(TellError::permanent("550 no such user"));
    desk.employ("mail", &ann, true, at_once());
    desk.settle().await;
    desk.put_to("mail", "ann", [notice("a:F")]).await;
    assert_eq!(desk.dead().await.len(), 1);
    desk.reload().await;
    desk.employ("mail", &bob, true, at_once());
    desk.settle().await;
    let revived = desk.roster.send_again(None).await.expect("written");
    desk.settle().await;
    assert_eq!((revived.again, bob.told()), (1, vec!["3 a:F".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn who_stands_in_for_two_recipients_who_become_one_hears_no_end_again() {
    let (mut desk, phone) = (Desk::open(), Arc::<Ear>::default());
    let away = |groups: &[&str]| {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let down = Mutex::new(Some(TellError::passing("away")));
        Arc::new(Ear { groups, down, ..Ear::default() })
    };
    let rules = || config::Delivery {
        failover: ActionName::try_from("sms").ok(),
        retry_for: config::Delivery::RETRY_BEFORE_FAILOVER,
        ..at_once()
    };
    desk.employ("sms", &phone, true, at_once());
    desk.employ("mail", &away(&["ann", "bob"]), true, rules());
    desk.settle().await;
    for to in ["ann", "bob"] {
        desk.put_to("mail", to, [notice("a:F")]).await;
    }
    desk.pass_by(secs(3600), secs(10)).await;
    assert_eq!(desk.dead().await.len(), 2);
    for to in ["ann", "bob"] {
        desk.put_to("mail", to, [notice("a:P")]).await;
    }
    let told = phone.told().len();
    assert_eq!((told, desk.waiting().await), (4, 2));
    desk.dismiss().await;
    desk.roster.leave(&ActionName::try_from("mail").expect("a name"));
    desk.employ("mail", &away(&["cleo"]), true, rules());
    desk.employ("sms", &phone, true, at_once());
    desk.pass_by(secs(24 * 3600), secs(60)).await;
    assert_eq!((phone.told().len(), desk.waiting().await), (told, 0));
}
