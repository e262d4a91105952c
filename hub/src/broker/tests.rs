//! What can only be provoked from inside: the router's death.

use std::sync::Arc;
use std::time::Duration;

use fletchck_shared::topic::Topic;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use rumqttd::protocol::{Packet as Raw, Publish};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

async fn reader(port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("reader", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(10));
    AsyncClient::new(options, 10)
}

/// Polls until a message arrives. A lost connection is made again, as every client does.
async fn next(events: &mut EventLoop, client: &AsyncClient) -> String {
    loop {
        match timeout(LIMIT, events.poll()).await.expect("something happens") {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                client.subscribe("t/#", QoS::AtLeastOnce).await.expect("room in the queue");
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                return String::from_utf8_lossy(&publish.payload).into_owned();
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_dies_is_replaced_and_nothing_retained_is_lost() {
    let settings = Settings {
        listen: vec![Listen { address: ([127, 0, 0, 1], 0).into(), tls: None }],
        ..Settings::default()
    };
    let access = Arc::new(Table::new().anonymous(Rights::all().expect("valid")));
    let (tap, _heard) = mpsc::channel(100);
    let broker =
        Broker::start(settings, access, Arc::new(Memory::default()), tap).await.expect("starts");
    let topic = Topic::try_from("t/retained").expect("valid");
    broker.publish(&topic, "still here", true).await.expect("published");
    let (client, mut events) = reader(broker.addresses()[0].port()).await;
    assert_eq!(next(&mut events, &client).await, "still here");
    for _ in 0..2 {
        let dead = broker.gate.router();
        // What the gate never lets through: the router cuts this topic in the midst of a character.
        let mut killer = vec![Raw::Publish(Publish::new("ä", "", false), None)];
        dead.publish(&mut killer).await.expect("it lives");
        timeout(LIMIT, dead.dead.cancelled()).await.expect("its death is noticed");
        assert_eq!(next(&mut events, &client).await, "still here");
        assert!(!Arc::ptr_eq(&dead, &broker.gate.router()));
        let live = Topic::try_from("t/live").expect("valid");
        broker.publish(&live, "and live", false).await.expect("published");
        assert_eq!(next(&mut events, &client).await, "and live");
    }
    broker.stop().await;
}
