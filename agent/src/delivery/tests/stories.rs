//! What is told, and in how many messages.

use chrono::NaiveTime;
use fletchck_shared::policy::QuietHours;

use super::*;

#[tokio::test(start_paused = true)]
async fn what_comes_within_five_seconds_is_told_at_once() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery::default());
    desk.put("a:F").await;
    desk.pass(secs(3)).await;
    desk.put("b:F a:P").await;
    desk.pass(secs(1)).await;
    assert!(ear.told().is_empty());
    desk.pass(secs(1)).await;
    assert_eq!(ear.told(), ["5 a:FP b:F"]);
    desk.put("c:F").await;
    desk.pass(secs(5)).await;
    assert_eq!(ear.told()[1..], ["10 c:F"]);
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_fail_at_once_are_one_message_and_their_recovery_is_one_more() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery::default());
    for news in ["F", "P"] {
        // As the engine stores them: as many as come at once.
        let all: Vec<_> = (0..1000).map(|n| format!("check-{n}:{news}")).collect();
        for some in all.chunks(64) {
            desk.put_for("mail", some.iter().map(|news| notice(news))).await;
            desk.pass(Duration::from_millis(100)).await;
        }
        desk.pass(secs(60)).await;
    }
    let letters =
        ear.tries.lock().iter().map(|(_, letter, _)| letter.entries.len()).collect::<Vec<_>>();
    assert_eq!(letters, [1000, 1000]);
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_failed_and_recovered_while_nobody_could_be_told_are_one_message() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, config::Delivery::default());
    for news in ["F", "P"] {
        desk.put_for("mail", (0..1000).map(|n| notice(&format!("check-{n}:{news}")))).await;
        desk.pass(secs(600)).await;
    }
    ear.up();
    desk.pass_by(secs(3600), secs(10)).await;
    let tries = ear.tries.lock();
    let told: Vec<_> = tries.iter().filter(|(.., taken)| *taken).collect();
    let [(_, letter, _)] = &told[..] else { panic!("{} messages", told.len()) };
    assert_eq!((letter.entries.len(), letter.entries.iter().all(Entry::over)), (1000, true));
}

#[tokio::test(start_paused = true)]
async fn where_each_check_has_a_message_of_its_own_a_recovery_still_takes_its_failure_along() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, false, config::Delivery::default());
    desk.put("a:F b:F").await;
    desk.pass(secs(1)).await;
    desk.put("a:P a:F c:F b:P").await;
    ear.up();
    desk.pass(secs(2)).await;
    let told = ear.told();
    let told: Vec<_> = told.iter().filter_map(|told| Some(told.split_once(' ')?.1)).collect();
    assert_eq!(told, ["a:FPF", "b:FP", "c:F"]);
}

#[tokio::test(start_paused = true)]
async fn what_tells_each_check_by_itself_tells_them_together_where_its_owner_has_it_gather() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    let gather = Some(secs(3));
    desk.employ("mail", &ear, false, config::Delivery { gather, ..at_once() });
    desk.put("a:F b:F").await;
    desk.pass(secs(1)).await;
    desk.put("c:F a:P").await;
    desk.pass(secs(2)).await;
    assert_eq!(ear.told(), ["3 a:FP b:F c:F"]);
}

#[tokio::test(start_paused = true)]
async fn after_an_hour_without_a_mail_server_all_comes_in_order_and_folded() {
    let (mut desk, ear) = (Desk::open(), Ear::down("connection refused"));
    desk.employ("mail", &ear, true, config::Delivery::default());
    desk.put("web:F disk:F").await;
    desk.pass(secs(20 * 60)).await;
    desk.put("web:P mail:F").await;
    desk.pass(secs(40 * 60)).await;
    assert!(ear.told().is_empty());
    // In growing pauses: not every two seconds for an hour.
    assert!((8..=14).contains(&ear.tries.lock().len()), "{:?}", ear.tried());
    ear.up();
    desk.pass_by(secs(3600), secs(10)).await;
    let [told] = &ear.told()[..] else { panic!("one message: {:?}", ear.told()) };
    assert!(told.ends_with(" web:FP disk:F mail:F"), "{told}");
    let (_, letter, _) = ear.tries.lock().last().cloned().expect("it was told");
    assert!(letter.entries[0].over() && !letter.entries[1].over());
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_a_dead_letter_at_once_and_told_by_the_failover() {
    let (mut desk, ear, other) = (Desk::open(), Arc::<Ear>::default(), Arc::<Ear>::default());
    let failover = ActionName::try_from("sms").ok();
    desk.employ("sms", &other, true, at_once());
    desk.employ("mail", &ear, true, config::Delivery { failover, ..at_once() });
    ear.answers.lock().push_back(Err(TellError::permanent("550 no such user")));
    desk.put("a:F").await;
    assert_eq!((ear.told().len(), other.told()), (0, vec!["0 a:F".to_owned()]));
    let [dead] = &desk.dead().await[..] else { panic!("one is given up") };
    assert_eq!(dead.error.as_deref(), Some("550 no such user"));
    assert_eq!((dead.tries, dead.heir.as_deref()), (1, Some("sms")));
    // The next one is tried as if nothing had been.
    desk.put("b:F").await;
    assert_eq!(ear.told(), ["0 b:F"]);
    // Somebody sends it again.
    let revived = desk.roster.send_again(None).await.expect("written");
    assert_eq!((revived.again, revived.over), (1, 0));
    desk.settle().await;
    assert_eq!(ear.told()[1..], ["0 a:F"]);
    assert!(desk.dead().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_for_too_long_is_given_up_or_handed_over() {
    let day = 24 * 3600;
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, true, at_once());
    desk.put("a:F").await;
    desk.pass_by(secs(3 * day - 3600), secs(60)).await;
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (1, 0));
    desk.pass_by(secs(2 * 3600), secs(60)).await;
    assert_eq!((desk.waiting().await, desk.dead().await.len()), (0, 1));

    let (mut desk, ear, other) = (Desk::open(), Ear::down("away"), Arc::<Ear>::default());
    let began = seconds(now());
    let (failover, retry_for) =
        (ActionName::try_from("sms").ok(), config::Delivery::RETRY_BEFORE_FAILOVER);
    desk.employ("sms", &other, true, at_once());
    desk.employ("mail", &ear, true, config::Delivery { failover, retry_for, ..at_once() });
    desk.put("a:F").await;
    desk.pass(retry_for).await;
    assert!(other.told().is_empty());
    desk.pass(secs(1200)).await;
    let after = seconds(other.tries.lock().first().expect("it was told").0) - began;
    assert!((900.0..2000.0).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_told_in_an_hour_than_there_may_be_and_the_others_come_together() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery { rate: Some(10), ..at_once() });
    for n in 0..20 {
        desk.put(&format!("check-{n}:F")).await;
        desk.pass(secs(10)).await;
    }
    desk.pass(secs(160)).await;
    // Two at once, and one in each six minutes then.
    let told = ear.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[..2], ["0 check-0:F", "10 check-1:F"]);
    assert!(told[2].starts_with("360 check-2:F check-3:F ") && told[2].ends_with(" check-19:F"));
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_hold_back_all_but_what_is_grave() {
    let time = |text| NaiveTime::parse_from_str(text, "%H:%M").expect("a time");
    let quiet = |except| {
        let (from, to) = (time("20:00"), time("21:00"));
        Some(QuietHours { from, to, days: Vec::new(), zone: None, except })
    };
    let warning = |check: &str| Notice {
        severity: Severity::Warning,
        about: Severity::Warning,
        ..notice(&format!("{check}:F"))
    };
    let (mut desk, ear, sleeper) = (Desk::open(), Arc::<Ear>::default(), Arc::<Ear>::default());
    let except = Some(Severity::Critical);
    desk.employ("mail", &ear, true, config::Delivery { quiet: quiet(except), ..at_once() });
    desk.employ("sms", &sleeper, true, config::Delivery { quiet: quiet(None), ..at_once() });
    for action in ["mail", "sms"] {
        desk.put_for(action, [warning("a"), warning("b"), notice("b:F")]).await;
    }
    desk.pass(secs(3599)).await;
    assert_eq!((ear.told(), sleeper.told().len()), (vec!["0 b:FF".to_owned()], 0));
    desk.pass(secs(61)).await;
    assert_eq!(ear.told()[1..], ["3600 a:F"]);
    assert_eq!(sleeper.told(), ["3600 a:F b:FF"]);
}

#[tokio::test(start_paused = true)]
async fn an_action_that_never_answers_delays_nobody_else() {
    let (mut desk, other) = (Desk::open(), Arc::<Ear>::default());
    let dead = Arc::new(Ear { hangs: true, ..Ear::default() });
    desk.employ("sms", &dead, true, at_once());
    desk.employ("mail", &other, true, at_once());
    for n in 0..100 {
        desk.put_for("sms", [notice(&format!("check-{n}:F"))]).await;
        desk.put(&format!("check-{n}:F")).await;
    }
    assert_eq!((dead.tried(), other.told().len()), (vec![0.0], 100));
    assert_eq!(desk.waiting().await, 100);
}

#[tokio::test(start_paused = true)]
async fn thousands_that_wait_for_the_morning_do_not_stand_before_what_is_grave() {
    let time = |text| NaiveTime::parse_from_str(text, "%H:%M").expect("a time");
    let quiet = QuietHours {
        from: time("20:00"),
        to: time("21:00"),
        days: Vec::new(),
        zone: None,
        except: Some(Severity::Critical),
    };
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    desk.employ("mail", &ear, true, config::Delivery { quiet: Some(quiet), ..at_once() });
    let warnings = (0..6000).map(|n| Notice {
        severity: Severity::Warning,
        about: Severity::Warning,
        ..notice(&format!("check-{n}:F"))
    });
    desk.put_for("mail", warnings).await;
    desk.put("grave:F").await;
    assert_eq!(ear.told(), ["0 grave:F"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_other_side_cannot_take_holds_up_no_other_check() {
    let (mut desk, ear) = (Desk::open(), Arc::<Ear>::default());
    *ear.dislikes.lock() = Some("bad".into());
    desk.employ("mail", &ear, false, config::Delivery::default());
    desk.put("bad:F a:F b:F").await;
    assert_eq!(ear.told(), ["0 a:F", "0 b:F"]);
    desk.pass(secs(3600)).await;
    desk.put("bad:P a:P c:F").await;
    assert_eq!(ear.told()[2..], ["3600 a:P", "3600 c:F"]);
    let of_bad = ear.tries.lock().iter().filter(|(.., taken)| !taken).count();
    assert!((8..=14).contains(&of_bad), "{of_bad} tries in growing pauses");
    // Once it is taken, its own order is kept.
    *ear.dislikes.lock() = None;
    desk.pass_by(secs(3600), secs(10)).await;
    assert!(ear.told()[4].ends_with(" bad:FP"), "{:?}", ear.told());
}

#[tokio::test(start_paused = true)]
async fn where_the_service_is_down_the_whole_action_pauses() {
    let (mut desk, ear) = (Desk::open(), Ear::down("away"));
    desk.employ("mail", &ear, false, config::Delivery::default());
    let all: Vec<_> = (0..30).map(|n| format!("check-{n}:F")).collect();
    desk.put(&all.join(" ")).await;
    assert_eq!(ear.tried().len(), 3);
    desk.pass_by(secs(3600), secs(1)).await;
    assert!((10..=20).contains(&ear.tried().len()), "{:?}", ear.tried());
    ear.up();
    // The next try finds it well again, and all is told at once.
    desk.pass_by(secs(3700), secs(10)).await;
    assert_eq!((ear.told().len(), desk.waiting().await), (30, 0));
    let tries = ear.tried();
    // A few at each step that time goes in here.
    assert!(tries[tries.len() - 1] - tries[tries.len() - 30] <= 120.0, "{tries:?}");
}
