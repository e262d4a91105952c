//! Which subscriptions a topic goes to.
//!
//! rumqttd's router never forgets a filter or a topic and looks through all of them for each new one. So it is given
//! neither: every filter in use holds a numbered slot, the router routes by slots, and a slot nobody uses goes to the next
//! filter. Matching is done here, in a tree. Subscriptions to a client's own topics do not enter the router at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fletchck_shared::topic::TopicFilter;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::flow::{Flow, Following, Slot};
use super::message::Message;

/// Bytes that a subscriber may be behind before publishers wait: well below what the router keeps for it.
const WIDE_LAG: u64 = 4 << 20;
/// The same for a filter of one topic.
const NARROW_LAG: u64 = 512 << 10;

/// A subscription's way into a session that the gate serves itself.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    /// Number of the session.
    pub(super) session: u32,
    pub(super) inbox: mpsc::Sender<Direction>,
    /// Cancelled when a message found the inbox full.
    pub(super) missed: CancellationToken,
}

impl Direct {
    /// Hands a message over, or marks the session as too slow for what it subscribed to.
    pub(super) fn hand(&self, direction: Direction) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(direction) {
            self.missed.cancel();
        }
    }
}

/// A message and the filter it came by.
#[derive(Debug)]
pub(super) struct Direction {
    pub(super) filter: Arc<str>,
    pub(super) origin: u32,
    pub(super) message: Message,
}

/// Where messages of one topic go.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Slots in the router.
    pub(super) slots: Vec<(Arc<Slot>, Vec<Arc<Flow>>)>,
    /// Sessions served by the gate, with the filter each has subscribed.
    pub(super) direct: Vec<(Arc<str>, Direct)>,
}

/// All filters in use.
pub(super) struct Routes {
    tree: RwLock<Tree>,
    /// Grows with every change, so that sessions know when what they remember is old.
    generation: AtomicU64,
    most: usize,
}

/// No more distinct filters can be routed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

#[derive(Default)]
struct Tree {
    root: Node,
    filters: usize,
    narrow: Slots,
    wide: Slots,
}

#[derive(Default)]
struct Slots {
    made: u32,
    free: Vec<Bytes>,
}

#[derive(Default)]
struct Node {
    levels: HashMap<Box<str>, Node>,
    filter: Option<Filter>,
}

struct Filter {
    text: Arc<str>,
    /// The slot and how many subscriptions use it.
    slot: Option<Used>,
    direct: Vec<Direct>,
}

struct Used {
    slot: Arc<Slot>,
    users: usize,
    /// The sessions among them that are connected.
    flows: Vec<Arc<Flow>>,
}

impl Routes {
    /// No filters; never more than `most` distinct ones at once.
    pub(super) fn new(most: usize) -> Self {
        Self { tree: RwLock::default(), generation: AtomicU64::new(1), most }
    }

    /// Changes with every change of the filters.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Where messages of a topic go now.
    pub(super) fn targets(&self, topic: &str) -> Targets {
        let mut targets = Targets::default();
        collect(&self.tree.read().root, topic, &mut targets);
        targets
    }

    /// Adds a subscription that the router serves. Answers the filter's slot.
    pub(super) fn join(&self, filter: &TopicFilter) -> Result<Bytes, TooMany> {
        self.change(filter, |filter, narrow, wide| {
            if let Some(used) = &mut filter.slot {
                used.users += 1;
                return used.slot.name.clone();
            }
            let (name, most) = match filter.text.contains(['+', '#']) {
                true => (wide.take("w"), WIDE_LAG),
                false => (narrow.take("n"), NARROW_LAG),
            };
            let slot = Arc::new(Slot::new(name.clone(), most));
            filter.slot = Some(Used { slot, users: 1, flows: Vec::new() });
            name
        })
    }

    /// Has publishers wait for a session that reads what it joined, as long as the answer is held.
    pub(super) fn follow(
        &self,
        filter: &TopicFilter,
        session: u32,
        client: &Arc<str>,
    ) -> Option<Following> {
        let follow = |filter: &mut Filter, _: &mut Slots, _: &mut Slots| {
            let used = filter.slot.as_mut()?;
            let flow = Arc::new(Flow::new(used.slot.clone(), session, client.clone()));
            used.flows.retain(|flow| !flow.is_over());
            used.flows.push(flow.clone());
            Some(Following::new(flow))
        };
        // It was joined, so there is room for it.
        self.change(filter, follow).ok().flatten()
    }

    /// Adds a subscription that the gate serves.
    pub(super) fn join_direct(&self, filter: &TopicFilter, to: Direct) -> Result<(), TooMany> {
        self.change(filter, |filter, _, _| filter.direct.push(to))
    }

    /// Takes back one [`Routes::join`].
    pub(super) fn leave(&self, filter: &str) {
        self.drop_from(filter, |filter| {
            let used = filter.slot.as_mut()?;
            used.users -= 1;
            used.flows.retain(|flow| !flow.is_over());
            let unused = (used.users == 0).then(|| used.slot.name.clone());
            if unused.is_some() {
                filter.slot = None;
            }
            unused
        });
    }

    /// Takes back a session's [`Routes::join_direct`].
    pub(super) fn leave_direct(&self, filter: &str, session: u32) {
        self.drop_from(filter, |filter| {
            filter.direct.retain(|direct| direct.session != session);
            None
        });
    }

    fn change<T>(
        &self,
        filter: &TopicFilter,
        change: impl FnOnce(&mut Filter, &mut Slots, &mut Slots) -> T,
    ) -> Result<T, TooMany> {
        let mut tree = self.tree.write();
        let Tree { root, filters, narrow, wide } = &mut *tree;
        let full = *filters >= self.most;
        let mut node = root;
        if full && find(node, filter.as_str()).is_none() {
            return Err(TooMany);
        }
        for level in filter.as_str().split('/') {
            // Looked up first: most levels are there already and need no copy.
            if !node.levels.contains_key(level) {
                node.levels.insert(level.into(), Node::default());
            }
            node = node.levels.get_mut(level).expect("it was just put there");
        }
        let entry = node.filter.get_or_insert_with(|| {
            *filters += 1;
            Filter { text: filter.as_str().into(), slot: None, direct: Vec::new() }
        });
        let answer = change(entry, narrow, wide);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(answer)
    }

    fn drop_from(&self, filter: &str, change: impl FnOnce(&mut Filter) -> Option<Bytes>) {
        let mut tree = self.tree.write();
        let (mut change, mut freed) = (Some(change), None);
        let gone = prune(&mut tree.root, Some(filter), &mut |entry| {
            freed = change.take().and_then(|change| change(entry));
        });
        if gone {
            tree.filters -= 1;
        }
        if let Some(slot) = freed {
            let slots = if slot.starts_with(b"w") { &mut tree.wide } else { &mut tree.narrow };
            slots.free.push(slot);
        }
        self.generation.fetch_add(1, Ordering::Release);
    }
}

impl Slots {
    fn take(&mut self, kind: &str) -> Bytes {
        self.free.pop().unwrap_or_else(|| {
            self.made += 1;
            Bytes::from(format!("{kind}/{}", self.made))
        })
    }
}

/// Changes a filter, and removes it and the levels above it where nothing is left. Whether the filter went.
fn prune(node: &mut Node, rest: Option<&str>, change: &mut dyn FnMut(&mut Filter)) -> bool {
    let Some(rest) = rest else {
        let Some(entry) = &mut node.filter else { return false };
        change(entry);
        let unused = entry.slot.is_none() && entry.direct.is_empty();
        if unused {
            node.filter = None;
        }
        return unused;
    };
    let (level, rest) = split(rest);
    let Some(child) = node.levels.get_mut(level) else { return false };
    let gone = prune(child, rest, change);
    if child.filter.is_none() && child.levels.is_empty() {
        node.levels.remove(level);
    }
    gone
}

fn find<'a>(mut node: &'a Node, filter: &str) -> Option<&'a Filter> {
    for level in filter.split('/') {
        node = node.levels.get(level)?;
    }
    node.filter.as_ref()
}

/// Visits every node once at most, so a topic of many levels costs no more than the filters there are.
fn collect(node: &Node, topic: &str, targets: &mut Targets) {
    targets.add(node.levels.get("#"));
    let (level, rest) = split(topic);
    for next in [node.levels.get(level), node.levels.get("+")].into_iter().flatten() {
        match rest {
            Some(rest) => collect(next, rest, targets),
            None => {
                targets.add(Some(next));
                // `a/#` matches `a` too.
                targets.add(next.levels.get("#"));
            }
        }
    }
}

impl Targets {
    fn add(&mut self, node: Option<&Node>) {
        let Some(filter) = node.and_then(|node| node.filter.as_ref()) else { return };
        let used = filter.slot.as_ref();
        self.slots.extend(used.map(|used| (used.slot.clone(), used.flows.clone())));
        let direct = filter.direct.iter().map(|direct| (filter.text.clone(), direct.clone()));
        self.direct.extend(direct);
    }
}

fn split(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(targets: &Targets) -> Vec<Bytes> {
        targets.slots.iter().map(|(slot, _)| slot.name.clone()).collect()
    }

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::try_from(text).expect("valid")
    }

    proptest! {
        #[test]
        fn the_tree_matches_as_mqtt_says(
            filters in prop::collection::hash_set("(a|b|[+])(/(a|b|[+]|)){0,2}(/#)?", 1..8),
            topic in "(a|b|)(/(a|b|c|)){0,3}",
        ) {
            prop_assume!(!topic.is_empty());
            let routes = Routes::new(100);
            let mut want = Vec::new();
            for text in &filters {
                let slot = routes.join(&filter(text)).expect("room");
                if filter(text).matches(&topic) {
                    want.push(slot);
                }
            }
            let mut got = names(&routes.targets(&topic));
            got.sort();
            want.sort();
            prop_assert_eq!(got, want);
            for text in &filters {
                routes.leave(text);
            }
            let tree = routes.tree.read();
            prop_assert!(tree.root.levels.is_empty() && tree.filters == 0);
        }
    }

    #[test]
    fn equal_filters_share_a_slot_and_free_slots_are_used_again() {
        let routes = Routes::new(2);
        let first = routes.join(&filter("a/b")).expect("room");
        assert_eq!(routes.join(&filter("a/b")), Ok(first.clone()));
        routes.leave("a/b");
        assert_eq!(names(&routes.targets("a/b")), std::slice::from_ref(&first));
        routes.leave("a/b");
        assert!(routes.targets("a/b").slots.is_empty());
        assert_eq!(routes.join(&filter("c/d")), Ok(first));
        routes.join(&filter("c/#")).expect("room");
        assert_eq!(routes.join(&filter("e")), Err(TooMany));
        assert!(routes.join(&filter("c/#")).is_ok(), "a filter that is there needs no room");
    }
}
