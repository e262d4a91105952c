//! What one session has subscribed to.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fletchck_shared::topic::TopicFilter;
use rumqttd::protocol::{Filter, QoS, RetainForwardRule, SubscribeReasonCode};

use super::routes::Routes;

/// One subscription.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) filter: TopicFilter,
    /// Highest quality of service its messages are delivered with, 0 or 1.
    pub(super) qos: u8,
    /// MQTT 5: the client's own messages are not sent back to it.
    pub(super) no_local: bool,
    /// MQTT 5: live messages keep the retain flag they were published with.
    pub(super) keep_retain: bool,
    /// MQTT 5: number sent with each message.
    pub(super) number: Option<usize>,
    pub(super) way: Way,
}

/// Who serves a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The router, under this slot.
    Slot(Bytes),
    /// The gate, for the session of this number.
    Direct(u32),
}

impl Subscription {
    /// Gives up the subscription's place among the routes.
    pub(super) fn leave(&self, routes: &Routes, filter: &str) {
        match self.way {
            Way::Slot(_) => routes.leave(filter),
            Way::Direct(session) => routes.leave_direct(filter, session),
        }
    }
}

/// What a SUBSCRIBE asks for one filter, judged as far as that needs nothing else.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) filter: TopicFilter,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) keep_retain: bool,
    pub(super) retained: RetainForwardRule,
}

impl Wish {
    /// Judges the filter's form.
    ///
    /// # Errors
    /// The code for the SUBACK.
    pub(super) fn new(filter: &Filter) -> Result<Self, SubscribeReasonCode> {
        if filter.path.starts_with("$share/") {
            return Err(SubscribeReasonCode::SharedSubscriptionsNotSupported);
        }
        Ok(Self {
            filter: TopicFilter::try_from(filter.path.as_str())
                .map_err(|_| SubscribeReasonCode::TopicFilterInvalid)?,
            // Exactly once is granted as at least once.
            qos: if filter.qos == QoS::AtMostOnce { 0 } else { 1 },
            no_local: filter.nolocal,
            keep_retain: filter.preserve_retain,
            retained: filter.retain_forward_rule.clone(),
        })
    }

    /// Whether the retained messages are to be sent. `new`: the client had not subscribed to the filter before.
    pub(super) fn wants_retained(&self, new: bool) -> bool {
        match self.retained {
            RetainForwardRule::OnEverySubscribe => true,
            RetainForwardRule::OnNewSubscribe => new,
            RetainForwardRule::Never => false,
        }
    }
}

/// Filters a resumed session may no longer have.
pub(super) fn not_granted(
    subscriptions: &HashMap<Arc<str>, Subscription>,
    granted: impl Fn(&str) -> bool,
) -> Vec<Arc<str>> {
    subscriptions.keys().filter(|filter| !granted(filter)).cloned().collect()
}
