//! What is heard, from both sources, until it reaches the engine.

use fletchck_agent::engine::{Board, Inbox};
use fletchck_shared::{AgentId, CheckName, State, wire::Message as Wire};
use tokio::time::timeout;

use super::*;

struct Running {
    arrived: mpsc::Sender<Arrived>,
    tap: mpsc::Sender<broker::Heard>,
    inbox: Inbox,
    board: Arc<Board>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    settings: watch::Sender<Arc<Settings>>,
}

fn start() -> Running {
    let rules = Rules {
        prefix: "fletchck".into(),
        base: None,
        own: AgentId::try_from("me").expect("an id"),
        zone: fletchck_shared::Tz::UTC,
    };
    let grace = Duration::from_millis(100);
    let (deaf, broker_came) = (false, None);
    let settings = Settings { rules, hub: true, grace, agents_max: 10, deaf, broker_came };
    let (keep, settings) = watch::channel(Arc::new(settings));
    let board = Arc::<Board>::default();
    let (engine, inbox) = Handle::new(board.clone(), Arc::default(), 16);
    let (arrived, from_link) = mpsc::channel(1024);
    let (tap, from_tap) = mpsc::channel(1024);
    let (stop, known) = (CancellationToken::new(), BTreeSet::new());
    let task = spawn(settings, known, engine, from_link, from_tap, stop.clone());
    Running { arrived, tap, inbox, board, stop, task, settings: keep }
}

impl Running {
    async fn tap(&self, topic: &str, payload: impl Into<Bytes>) {
        let heard = broker::Heard {
            client: "x".into(),
            topic: topic.into(),
            payload: payload.into(),
            retain: true,
        };
        self.tap.send(heard).await.expect("it hears");
    }

    async fn heard(&mut self) -> Vec<Heard> {
        let heard = timeout(Duration::from_secs(10), self.inbox.heard.recv()).await;
        heard.expect("soon").expect("it hears")
    }

    async fn asked(&mut self) -> Request {
        let asked = timeout(Duration::from_secs(10), self.inbox.requests.recv()).await;
        let (request, answer) = asked.expect("soon").expect("it asks");
        answer.send(Ok(())).expect("it waits for the answer");
        request
    }
}

fn state(agent: &str, name: &str) -> Vec<u8> {
    let agent = AgentId::try_from(agent).expect("an id");
    let name = CheckName::try_from(name).expect("a name");
    Wire::write(Some(&agent), &name, "disk", &State::default(), true, fletchck_shared::Tz::UTC)
}

/// Breaks down over the first line that is logged, as a program whose standard error is gone does.
#[derive(Default)]
struct NoLog(std::sync::atomic::AtomicBool);

impl tracing::Subscriber for NoLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let first = *event.metadata().level() == tracing::Level::WARN
            && !self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!first, "on purpose");
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_broke_down_over_a_message_hears_what_came_with_it() {
    let _log = tracing::subscriber::set_default(NoLog::default());
    let mut fleet = start();
    fleet.tap("fletchck/nas/check/root", "no JSON at all").await;
    fleet.tap("fletchck/nas/check/root", state("nas", "root")).await;
    loop {
        let heard = fleet.heard().await;
        if heard.iter().any(|heard| heard.message.name.as_str() == "root") {
            break;
        }
    }
}

#[tokio::test]
async fn an_agent_comes_speaks_goes_and_is_told_to_be_away() {
    let mut fleet = start();
    fleet.tap("fletchck/nas/status", "online").await;
    fleet.tap("fletchck/nas/check/root", state("nas", "root")).await;
    let mut heard = fleet.heard().await;
    while heard.len() < 2 {
        heard.extend(fleet.heard().await);
    }
    let names: Vec<_> = heard.iter().map(|heard| heard.message.name.as_str()).collect();
    assert_eq!(names, ["agent nas", "root"]);
    assert!(fleet.board.agents()[0].online);

    fleet.tap("fletchck/nas/status", "offline").await;
    assert!(matches!(fleet.asked().await, Request::Silent(id, _) if id.as_str() == "nas"));
    let away = fleet.heard().await;
    assert!(away[0].message.report.reached(), "{away:?}");
    assert!(!fleet.board.agents()[0].online);

    fleet.tap("fletchck/nas/status", "online").await;
    let back = fleet.heard().await;
    assert_eq!(back[0].message.report.text, "nas is back");
    fleet.stop.cancel();
    fleet.task.await.expect("it ends");
}

#[tokio::test]
async fn the_engine_knows_the_labels_of_each_agent_for_silences_by_them() {
    let mut fleet = start();
    let info = |room: &str| format!(r#"{{"labels": {{"room": "{room}"}}}}"#);
    let mut asked = Vec::new();
    for payload in [info("cellar"), info("cellar"), info("attic"), "{}".into()] {
        fleet.tap("fletchck/nas/info", payload).await;
    }
    fleet.tap("fletchck/nas/status", "").await;
    fleet.tap("fletchck/pi/info", "{}").await;
    for _ in 0..5 {
        match fleet.asked().await {
            Request::Labels(id, labels) => {
                asked.push(format!("{id} {}", labels.get("room").map_or("", String::as_str)));
            }
            other => panic!("{other:?}"),
        }
    }
    // A hub may know labels from before its start that an agent no longer has.
    assert_eq!(asked, ["nas cellar", "nas attic", "nas ", "nas ", "pi "]);
}

#[tokio::test]
async fn nobody_is_told_to_be_away_while_the_broker_is() {
    let mut fleet = start();
    fleet.tap("fletchck/nas/status", "online").await;
    assert_eq!(fleet.heard().await.len(), 1);
    fleet.settings.send_modify(|settings| Arc::make_mut(settings).deaf = true);
    fleet.tap("fletchck/nas/status", "offline").await;
    let told = timeout(Duration::from_millis(500), fleet.inbox.requests.recv()).await;
    assert!(told.is_err(), "{told:?}");
    fleet.settings.send_modify(|settings| Arc::make_mut(settings).deaf = false);
    assert!(matches!(fleet.asked().await, Request::Silent(id, _) if id.as_str() == "nas"));
    assert!(fleet.heard().await[0].message.report.reached());
}

#[tokio::test]
async fn what_is_false_is_left() {
    let mut fleet = start();
    for _ in 0..3 {
        fleet.tap("fletchck/evil/check/root", state("nas", "root")).await;
        fleet.tap("fletchck/evil/info", "no json").await;
    }
    fleet.tap("fletchck/me/check/root", state("me", "root")).await;
    fleet.tap("elsewhere", "x").await;
    let arrived = Arrived {
        topic: "fletchck/nas/check/root".into(),
        payload: state("nas", "root").into(),
        retained: true,
        connected: None,
        at: Utc::now(),
    };
    fleet.arrived.send(arrived).await.expect("it hears");
    let heard = fleet.heard().await;
    assert_eq!(heard.len(), 1);
    assert!(heard[0].retained);
    assert!(fleet.board.agents().is_empty(), "what a broker kept is no sign of life");
    fleet.tap("fletchck/nas/check/root", "").await;
    assert!(matches!(fleet.asked().await, Request::Cleared(topic) if topic.contains("nas")));
    assert!(fleet.inbox.heard.try_recv().is_err(), "nothing else was taken");
}

#[tokio::test]
async fn a_slow_engine_slows_the_sources() {
    let fleet = start();
    let payload = Bytes::from(state("nas", "root"));
    let mut sent = 0;
    let flood = async {
        loop {
            fleet.tap("fletchck/nas/check/root", payload.clone()).await;
            sent += 1;
        }
    };
    timeout(Duration::from_millis(500), flood).await.expect_err("it never ends");
    assert!(sent <= 1024 + 18 * BATCH, "{sent} are held in memory");
}
