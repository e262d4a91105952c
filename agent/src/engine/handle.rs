//! What others may ask of the running engine.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use fletchck_shared::{
    AgentId, CheckName,
    config::{Fault, Site},
    policy::{Ack, Silence},
    wire::Message,
};
use tokio::sync::{mpsc, oneshot};

use super::{Board, Ping};
use crate::{delivery::Roster, store::SilenceId};

/// A message about a check that runs elsewhere, read and judged in itself; whether it is taken, the engine decides.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The message.
    pub message: Message,
    /// Topic it came on.
    pub topic: Arc<str>,
    /// The agent whose fleet topic that was; `None` for a version 1 topic.
    pub agent: Option<AgentId>,
    /// Whether the broker had kept it.
    pub retained: bool,
    /// When it was heard, by this clock.
    pub at: DateTime<Utc>,
}

/// Why the engine did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such check.
    #[error("there is no check `{0}`")]
    NoSuchCheck(CheckName),
    /// No check waits for reports under this token.
    #[error("no check waits for reports under this token")]
    NoSuchPush,
    /// It makes no sense as things stand.
    #[error("{0}")]
    NotNow(String),
    /// Checks run late.
    #[error("{0}")]
    Late(String),
    /// It runs elsewhere, or is a part of the configuration file.
    #[error("{0}")]
    NotHere(String),
    /// The store failed; nothing was changed.
    #[error("the store failed: {0}")]
    Store(String),
    /// The engine is stopping.
    #[error("fletchck is stopping")]
    Stopping,
}

/// What may be asked.
#[derive(Debug)]
pub enum Request {
    /// Run this check once, now.
    Run(CheckName),
    /// Take the report of a job.
    Ping(Ping),
    /// Delete a remote check that was added by itself, and clear what was retained for it.
    Delete(CheckName),
    /// A version 1 topic was cleared by its sender; whoever was bound to it is free.
    Cleared(Arc<str>),
    /// An agent is gone or its updates stopped: its checks are stale, and why.
    Silent(AgentId, String),
    /// The broker is away: everything heard through it is stale, and why.
    BrokerAway(String),
    /// The broker is back: silence counts from now on.
    BrokerBack,
    /// Take a failure on in somebody's name.
    Acknowledge(CheckName, Ack),
    /// Take that back.
    TakeBack(CheckName),
    /// Tell nobody of some checks for a while.
    Silence(Box<Silence>),
    /// End that before its time.
    EndSilence(SilenceId),
    /// These are the labels of an agent; none: it is forgotten.
    Labels(AgentId, BTreeMap<String, String>),
    /// Say whether this site is well: it answers, checks run on time, and the store takes what it is given.
    Pulse,
    /// Make this the configuration, with these faults shown; unchanged checks are not touched.
    Reload(Box<Site>, Vec<Fault>),
}

/// An option that a target has taught, for the owner's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The check.
    pub check: CheckName,
    /// The option's key.
    pub option: String,
    /// Its value.
    pub value: String,
}

/// A way to the running engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<(Request, oneshot::Sender<Result<(), Refused>>)>,
    pub(super) heard: mpsc::Sender<Vec<Heard>>,
    pub(super) board: Arc<Board>,
    pub(super) roster: Arc<Roster>,
}

/// The engine's end of a [`Handle`]: what was asked, each with the way back, and what was heard.
#[derive(Debug)]
pub struct Inbox {
    /// What was asked.
    pub requests: mpsc::Receiver<(Request, oneshot::Sender<Result<(), Refused>>)>,
    /// What was heard of checks that run elsewhere.
    pub heard: mpsc::Receiver<Vec<Heard>>,
}

impl Handle {
    /// A handle and its other end, each side holding up to `bound` requests and as many batches of what was heard.
    pub fn new(board: Arc<Board>, roster: Arc<Roster>, bound: usize) -> (Self, Inbox) {
        let (requests, asked) = mpsc::channel(bound);
        let (heard, hears) = mpsc::channel(bound);
        (Self { requests, heard, board, roster }, Inbox { requests: asked, heard: hears })
    }

    /// Whether the engine still takes requests.
    pub fn alive(&self) -> bool {
        !self.requests.is_closed()
    }

    /// The state of the site as of the last commit.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The actions as they run now.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// Asks, and waits until it is done and stored. A run is done once it is queued.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn ask(&self, request: Request) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        self.requests.send((request, answer)).await.map_err(|_| Refused::Stopping)?;
        answered.await.map_err(|_| Refused::Stopping)?
    }

    /// Hands over what was heard of remote checks. Waits while the engine is behind, so that the sender slows down.
    ///
    /// # Errors
    /// [`Refused::Stopping`].
    pub async fn hear(&self, heard: Vec<Heard>) -> Result<(), Refused> {
        self.heard.send(heard).await.map_err(|_| Refused::Stopping)
    }
}
