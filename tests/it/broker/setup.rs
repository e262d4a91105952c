//! A broker for one test, and an honest pair of clients that has to stay unaffected by whatever else happens.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fletchck::broker::{Access, Broker, Heard, Keep, Listen, Memory, Rights, Settings, Table};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A broker on a free port.
pub(super) struct Site {
    pub(super) broker: Broker,
    pub(super) port: u16,
    pub(super) heard: mpsc::Receiver<Heard>,
}

impl Site {
    /// A broker that lets everyone do everything.
    pub(super) async fn open() -> Result<Self> {
        Self::with(Settings::default(), anyone()?, Arc::new(Memory::default())).await
    }

    pub(super) async fn with(
        mut settings: Settings,
        access: Arc<dyn Access>,
        keep: Arc<dyn Keep>,
    ) -> Result<Self> {
        if settings.listen.is_empty() {
            settings.listen.push(Listen { address: loopback(), tls: None });
        }
        // Deep enough that a test which does not listen holds nobody up.
        let (tap, heard) = mpsc::channel(1_000_000);
        let broker = Broker::start(settings, access, keep, tap).await?;
        let port = broker.addresses().first().context("no port")?.port();
        Ok(Self { broker, port, heard })
    }

    /// The next message the hub hears.
    pub(super) async fn hear(&mut self) -> Result<Heard> {
        timeout(LIMIT, self.heard.recv()).await.context("nothing heard")?.context("tap closed")
    }
}

pub(super) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Everyone may do everything.
pub(super) fn anyone() -> Result<Arc<dyn Access>> {
    Ok(Arc::new(Table::new().anonymous(Rights::all()?)))
}

/// Two clients of stock software, one sending numbers to the other without end.
pub(super) struct Honest {
    received: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Honest {
    pub(super) async fn start(port: u16) -> Result<Self> {
        let received = Arc::new(AtomicU64::new(0));
        let (reader, mut reading) = AsyncClient::new(options(port, "honest-reader"), 10);
        let (writer, mut writing) = AsyncClient::new(options(port, "honest-writer"), 10);
        reader.subscribe("honest/+", QoS::AtLeastOnce).await?;
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        let count = received.clone();
        let read = tokio::spawn(async move {
            let _client = reader;
            let mut ready = Some(ready);
            let mut want = 0;
            loop {
                match reading.poll().await.context("the honest reader lost its connection")? {
                    Event::Incoming(Packet::SubAck(_)) => drop(ready.take().map(|to| to.send(()))),
                    Event::Incoming(Packet::Publish(publish)) => {
                        let number: u64 = std::str::from_utf8(&publish.payload)?.parse()?;
                        ensure!(number == want, "the honest reader got {number}, not {want}");
                        want += 1;
                        count.store(want, Ordering::Relaxed);
                    }
                    _ => {}
                }
            }
        });
        timeout(LIMIT, subscribed).await.context("no answer to the honest subscription")??;
        let events = tokio::spawn(async move {
            loop {
                writing.poll().await.context("the honest writer lost its connection")?;
            }
        });
        let write = tokio::spawn(async move {
            for number in 0_u64.. {
                writer
                    .publish("honest/number", QoS::AtLeastOnce, false, number.to_string())
                    .await?;
                sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        });
        let honest = Self { received, tasks: vec![read, events, write] };
        honest.check().await?;
        Ok(honest)
    }

    /// Whether both are still connected, nothing was lost, and messages still flow.
    pub(super) async fn check(&self) -> Result<()> {
        let want = self.received.load(Ordering::Relaxed) + 20;
        let until = Instant::now() + LIMIT;
        while self.received.load(Ordering::Relaxed) < want {
            if self.tasks.iter().any(JoinHandle::is_finished) {
                bail!("an honest client was disturbed");
            }
            ensure!(Instant::now() < until, "no messages between the honest clients any more");
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

pub(super) fn options(port: u16, id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(id, "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(30));
    options.set_max_packet_size(1 << 20, 1 << 20);
    options
}
