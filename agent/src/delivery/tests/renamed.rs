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
