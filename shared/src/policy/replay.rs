//! Replays of what may happen to a check and of what is told of it, as tables a person can read, and as properties of
//! any such story.

mod clock;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::{
    ActionName, Outcome, Severity, State,
    state::{Condition, Rule, Seen, step},
};

/// A check in a story.
struct Story {
    rule: Rule,
    policy: Policy,
    state: State,
    now: DateTime<Utc>,
    hidden: Option<Hidden>,
    least: HashMap<ActionName, Severity>,
    away: HashSet<ActionName>,
    told: String,
}

fn name(text: &str) -> ActionName {
    ActionName::try_from(text).expect("a name")
}

fn hidden(by: HiddenBy) -> Option<Hidden> {
    Some(Hidden { by, why: "because".into(), until: None })
}

impl Story {
    fn new(policy: Policy) -> Self {
        Self {
            rule: Rule::default(),
            policy,
            state: State::default(),
            now: DateTime::UNIX_EPOCH,
            hidden: None,
            least: HashMap::new(),
            away: HashSet::new(),
            told: String::new(),
        }
    }

    /// What happens, one letter a minute: `P` pass, `F` fail, `W` a warning that is told, `a` `b` a sequence failing by
    /// that member, `z` paused, `s` silence of its agent, `-` nothing; `D` what it depends on begins to fail and `d` is
    /// well again; `S` somebody silences it and `e` that ends; `N` the action does not run and `n` it does again; `A` somebody acknowledges, `K` and means it for as long
    /// as it fails. What is told of it to the one action, in order: `F`ailed, `C`hanged, `R`eminder, `E`scalated (to
    /// the boss), `P` recovered, `~` flapping, `=` steady, `.` nothing.
    fn happen(&mut self, letters: &str) -> &mut Self {
        for letter in letters.chars() {
            self.now += TimeDelta::minutes(1);
            let fresh = self.run(letter);
            match letter {
                'D' => self.hidden = hidden(HiddenBy::Dependency),
                'S' => self.hidden = hidden(HiddenBy::Silence),
                'd' | 'e' => self.hidden = None,
                'N' => _ = self.away.insert(name("mail")),
                'n' => self.away.clear(),
                'A' | 'K' => self.take_on(letter == 'K'),
                _ => {}
            }
            let decision = self.decide(fresh);
            if decision.tell.is_empty() {
                self.told.push('.');
            }
            for (action, news, _) in decision.tell {
                let letter = match news {
                    News::Failed => 'F',
                    News::Changed => 'C',
                    News::Reminder => 'R',
                    News::Escalated => 'E',
                    News::Recovered => 'P',
                    News::Flapping => '~',
                    News::Steady => '=',
                    News::Acknowledged => 'A',
                    News::Test => '?',
                };
                let boss = action == name("boss");
                self.told.push(if boss { letter.to_ascii_lowercase() } else { letter });
            }
        }
        self
    }

    fn run(&mut self, letter: char) -> bool {
        let mut outcome = match letter {
            'P' => Outcome::pass("well"),
            'W' => Outcome::fail("close").warning(true),
            'F' | 'a' | 'b' => Outcome::fail("not well"),
            'z' => {
                self.state = step(&self.rule, &self.state, Seen::Paused(self.now)).0;
                return false;
            }
            's' => {
                self.state = step(&self.rule, &self.state, Seen::Silent("away")).0;
                return false;
            }
            _ => return false,
        };
        outcome.at = self.now;
        outcome.members = matches!(letter, 'a' | 'b').then(|| letter.to_string());
        self.state = step(&self.rule, &self.state, Seen::Ran(&outcome)).0;
        self.state.alert.flapping.ran(self.state.condition.failing());
        true
    }

    fn take_on(&mut self, sticky: bool) {
        let failure = match &self.state.condition {
            Condition::Fail(failure) => Some(failure.clone()),
            Condition::Pass | Condition::Unknown => None,
        };
        let (by, comment) = ("ann".into(), String::new());
        self.state.alert.ack =
            Some(Ack { by, at: self.now, comment, sticky, until: None, failure, told: false });
    }

    fn decide(&mut self, fresh: bool) -> Decision {
        let is = Standing {
            condition: &self.state.condition,
            grade: self.state.grade,
            covered: self.state.cover.is_some(),
            fresh,
            hidden: self.hidden.clone(),
            actions: &[name("mail")],
            least: &self.least,
            away: &self.away,
        };
        decide(&self.policy, &mut self.state.alert, &is, self.now)
    }
}

fn plain() -> Policy {
    Policy { flapping: false, ..Policy::default() }
}

#[track_caller]
fn check(policy: Policy, story: &str, told: &str) {
    assert_eq!(Story::new(policy).happen(story).told, told, "{story}");
}

#[test]
fn a_failure_is_told_once_and_its_end_where_it_was_told() {
    check(plain(), "PFFP", ".F.P");
    check(plain(), "FP", "FP");
    check(plain(), "Pzs-P", ".....");
    check(plain(), "PabbP", ".FC.P");
    check(plain(), "PWFP", ".FCP");
    check(Policy { fail_action: false, ..plain() }, "PFP", "...");
    check(Policy { pass_action: false, ..plain() }, "PFPF", ".F.F");
}

#[test]
fn failures_may_be_counted_among_several_runs_and_recoveries_in_a_row() {
    let mut story = Story::new(plain());
    story.rule = Rule { threshold: 3, window: Some(5), ..Rule::default() };
    assert_eq!(story.happen("PFPFPFP").told, ".....FP");
    let mut story = Story::new(plain());
    story.rule = Rule { recover: 3, ..Rule::default() };
    assert_eq!(story.happen("FPPFPPPF").told, "F.....PF");
}

#[test]
fn what_depends_on_a_failing_check_is_not_told_and_is_told_if_it_outlasts_it() {
    check(plain(), "PDFFP-", "......");
    // Whether it still fails is seen by its next run only.
    check(plain(), "PDFd-P", "......");
    check(plain(), "PDFd-F", ".....F");
    // An end is told whatever fails elsewhere.
    check(plain(), "PFDP", ".F.P");
    check(plain(), "PFDFdFP", ".F....P");
}

#[test]
fn a_silence_tells_nothing_at_all_and_what_is_left_to_tell_comes_after_it() {
    check(plain(), "PSFFP", ".....");
    check(plain(), "PSFe", "...F");
    check(plain(), "PFSPe", ".F..P");
    check(plain(), "PFSPFe", ".F....");
}

#[test]
fn a_pause_or_a_silent_agent_holds_everything_where_it_is() {
    let remind = Remind { every: Duration::from_secs(60), backoff: 1.0, most: None };
    check(Policy { remind: Some(remind), ..plain() }, "PF-zz-P", ".FR...P");
    check(plain(), "FssP", "F..P");
}

#[test]
fn reminders_come_in_growing_pauses_until_somebody_acknowledges() {
    let remind = Remind { every: Duration::from_secs(120), backoff: 2.0, most: Some(3) };
    let policy = Policy { remind: Some(remind), ..plain() };
    check(policy.clone(), "F-------------------P", "F.R...R.......R.....P");
    check(policy.clone(), "F--A-----P", "F.R......P");
    check(policy, "P---", "....");
}

#[test]
fn an_acknowledgement_ends_with_a_change_unless_it_is_sticky_and_always_with_a_recovery() {
    let remind = Remind { every: Duration::from_secs(120), backoff: 1.0, most: None };
    let policy = Policy { remind: Some(remind), ..plain() };
    check(policy.clone(), "aA---b--R", "F....C.R.");
    check(policy.clone(), "aK---b---P", "F........P");
    check(policy.clone(), "aK-PF--", "F..PF.R");
    // It was taken on as it was then, even where nobody was told of that.
    check(policy.clone(), "aNAbn", "F...C");
    check(policy.clone(), "NaAbn--", "....F.R");
    check(policy.clone(), "aWSazdAW--", "FC.......R");
    let mut story = Story::new(policy);
    story.happen("FA---");
    story.state.alert.ack.as_mut().expect("acknowledged").until = Some(story.now);
    assert_eq!(story.happen("-").told, "F....R");
}

#[test]
fn an_acknowledgement_of_an_older_version_ends_with_a_change_that_somebody_is_told_of() {
    let mut story = Story::new(plain());
    story.happen("a");
    let old = r#"{ "by": "ann", "at": "2026-11-26T10:00:00Z" }"#;
    story.state.alert.ack = Some(serde_json::from_str(old).expect("it is read"));
    assert_eq!(story.happen("-b").told, "F.C");
    assert_eq!(story.state.alert.ack, None);
}

#[test]
fn others_are_told_when_nobody_has_acknowledged_for_long() {
    let step = Step { after: Duration::from_secs(180), actions: vec![name("boss")] };
    let policy = Policy { escalate: vec![step], ..plain() };
    check(policy.clone(), "F--F--P", "F..e..pP");
    check(policy.clone(), "F-A---P", "F.....P");
    // Once told, the boss hears of what becomes of it.
    check(policy.clone(), "a---bP", "F..eCcpP");
    // The boss waits no longer because nobody else can be told.
    check(policy, "NF---P", "....ep");
}

#[test]
fn an_action_that_was_away_is_told_what_is_left_to_tell_once_it_is_there() {
    check(plain(), "PFNPn", ".F..P");
    check(plain(), "PFNPFn-P", ".F.....P");
    check(plain(), "PNFn", "...F");
    check(plain(), "PNFPn", ".....");
    check(plain(), "PaNbn", ".F..C");
    let remind = Remind { every: Duration::from_secs(60), backoff: 1.0, most: None };
    check(Policy { remind: Some(remind), ..plain() }, "PFN--nP", ".F...RP");
    // What somebody took on meanwhile is no news to it.
    let remind = Remind { every: Duration::from_secs(60), backoff: 1.0, most: None };
    check(Policy { remind: Some(remind), ..plain() }, "aWNaAn--P", "FC......P");
    let mut story = Story::new(Policy::default());
    story.happen("PFPFPF").happen("NFPFP").happen(&"P".repeat(20));
    assert_eq!(story.told.matches(['~', '=']).count(), 0, "{}", story.told);
    assert!(story.happen("n").told.ends_with('P'), "{}", story.told);
}

#[test]
fn an_action_is_told_of_what_is_grave_enough_for_it() {
    let mut story = Story::new(plain());
    story.least.insert(name("mail"), Severity::Critical);
    assert_eq!(story.happen("PWWFWP").told, "...FCP");
}

#[test]
fn a_check_that_goes_back_and_forth_is_told_as_that_and_when_it_is_steady() {
    let told = |end: &str| {
        let mut story = Story::new(Policy::default());
        story.happen("PFPFPFPF").happen(end).told.clone()
    };
    // The end of the last failure is not told before it is known to be steady.
    assert_eq!(told(&"P".repeat(20)), ".FPFPF.~...............=....");
    let steady = told(&"F".repeat(20));
    assert_eq!((steady.matches('~').count(), steady.matches('=').count()), (1, 1), "{steady}");
    assert!(told(&"FP".repeat(40)).ends_with(&".".repeat(79)));
}

#[test]
fn the_time_to_ask_again_is_when_something_will_be_due() {
    let remind = Remind { every: Duration::from_secs(600), backoff: 1.0, most: None };
    let step = Step { after: Duration::from_secs(300), actions: vec![name("boss")] };
    let mut story = Story::new(Policy { remind: Some(remind), escalate: vec![step], ..plain() });
    story.happen("F");
    let began = story.now;
    assert_eq!(story.decide(false).again, Some(began + TimeDelta::seconds(300)));
    story.now += TimeDelta::seconds(300);
    assert_eq!(story.decide(false).tell, [(name("boss"), News::Escalated, Severity::Critical)]);
    assert_eq!(story.decide(false).again, Some(began + TimeDelta::seconds(600)));
    story.happen("P");
    assert_eq!(story.decide(false).again, None);
}

/// What may happen in any story.
const ANY: &str = "[PFWabzs\\-DdSeNnAK]{0,80}";

fn policies() -> impl Strategy<Value = Policy> {
    (any::<[bool; 3]>(), proptest::option::of(1_u64..5), proptest::option::of(1_u64..5)).prop_map(
        |([fail_action, pass_action, flapping], remind, escalate)| Policy {
            fail_action,
            pass_action,
            flapping,
            remind: remind.map(|minutes| Remind {
                every: Duration::from_secs(minutes * 60),
                backoff: 1.5,
                most: None,
            }),
            escalate: escalate
                .map(|minutes| Step {
                    after: Duration::from_secs(minutes * 60),
                    actions: vec![name("boss")],
                })
                .into_iter()
                .collect(),
            ..Policy::default()
        },
    )
}

proptest! {
    /// To everyone: no end without a failure told before, no two equal notices in a row but reminders, and nothing in a
    /// silence, or to remind of what is acknowledged.
    #[test]
    fn notices_make_sense(story in ANY, policy in policies(), threshold in 1_u32..4) {
        let mut teller = Story::new(policy);
        teller.rule.threshold = threshold;
        let mut last: HashMap<ActionName, News> = HashMap::new();
        for letter in story.chars() {
            teller.now += TimeDelta::minutes(1);
            let fresh = teller.run(letter);
            match letter {
                'D' => teller.hidden = hidden(HiddenBy::Dependency),
                'S' => teller.hidden = hidden(HiddenBy::Silence),
                'd' | 'e' => teller.hidden = None,
                'N' => _ = teller.away.insert(name("mail")),
                'n' => teller.away.clear(),
                'A' | 'K' if teller.state.condition.failing() => teller.take_on(letter == 'K'),
                _ => {}
            }
            let acked = teller.state.alert.ack.clone();
            let decision = teller.decide(fresh);
            let silenced = teller.hidden.as_ref().is_some_and(|hidden| hidden.by == HiddenBy::Silence);
            prop_assert!(decision.tell.is_empty() || !silenced, "told in a silence");
            for (action, news, _) in decision.tell {
                prop_assert!(!teller.away.contains(&action), "{story}: told while it was away");
                let before = last.insert(action.clone(), news);
                let knows = before.is_some_and(|news| {
                    !matches!(news, News::Recovered) && (news != News::Steady || teller.state.condition.failing() || fresh)
                });
                match news {
                    News::Failed | News::Escalated => {
                        prop_assert!(before.is_none_or(|b| matches!(b, News::Recovered | News::Steady))
                            || !teller.policy.pass_action, "{story}: {before:?} {news:?}");
                    }
                    News::Recovered | News::Changed | News::Steady => {
                        prop_assert!(knows, "{story}: {before:?} {news:?}");
                    }
                    News::Reminder => {
                        prop_assert!(knows && acked.is_none(), "{story}: {before:?} {news:?} {acked:?}");
                    }
                    News::Flapping => prop_assert!(before != Some(News::Flapping), "{story}"),
                    News::Acknowledged => prop_assert!(false, "time alone acknowledges nothing"),
                    News::Test => prop_assert!(false, "nobody asked for a test"),
                }
                if !matches!(news, News::Reminder | News::Changed) {
                    prop_assert!(before != Some(news) || !teller.policy.pass_action, "{story}: {news:?} twice");
                }
            }
        }
    }

    /// Nothing is forgotten: whatever happened, once nothing hides it and it has run, everyone knows how it stands.
    #[test]
    fn in_the_end_everyone_knows(story in ANY, end in "[PF]", policy in policies()) {
        let flapping = policy.flapping;
        let (fail_action, escalates) = (policy.fail_action, !policy.escalate.is_empty());
        let mut teller = Story::new(policy);
        teller.happen(&story).happen("dn");
        let runs = if flapping { 40 } else { 1 };
        teller.happen(&end.repeat(runs));
        let alert = &teller.state.alert;
        if end == "P" {
            prop_assert!(alert.told.is_empty() && alert.hidden.is_none(), "{story}: {alert:?}");
        } else if fail_action {
            let told = alert.told.get(&name("mail"));
            prop_assert!(told.is_some_and(|told| !told.flapping), "{story}: {alert:?}");
            prop_assert!(escalates || alert.told.len() == 1, "{story}: {alert:?}");
        }
    }

    /// A restart in between changes nothing: the state holds all there is.
    #[test]
    fn a_restart_changes_nothing(story in ANY, cut in 0_usize..80, policy in policies()) {
        let cut = cut.min(story.len());
        let mut whole = Story::new(policy.clone());
        whole.happen(&story);
        let mut halves = Story::new(policy);
        halves.happen(&story[..cut]);
        let stored = serde_json::to_string(&halves.state).expect("a state is JSON");
        halves.state = serde_json::from_str(&stored).expect("and back");
        halves.happen(&story[cut..]);
        prop_assert_eq!(&halves.told, &whole.told);
        prop_assert_eq!(halves.state, whole.state);
    }
}
