//! What clients do with their sessions: read, begin, add to, clear, delete. Each is one line in the audit.

use std::collections::BTreeMap;

use schemas::chat::Message;
use schemas::id::JobId;
use schemas::session::{History, SessionKey, Turn, TurnFault};

use super::audit::{Actor, record as audit};
use super::store::Change;
use super::{SessionError, Sessions};

/// A session as it is now.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What is kept of it; `None` while its first turn runs.
    pub history: Option<History>,
    /// How many turns wait or run.
    pub waiting: usize,
}

/// What beginning a session came to.
#[derive(Debug)]
pub enum Created {
    /// It has begun.
    Now(Box<History>),
    /// The messages that it was to begin with cannot be kept in one.
    Fault(TurnFault),
}

impl Sessions {
    /// A session's history as a turn goes on from it. Nothing is settled, nothing is written down.
    ///
    /// # Errors
    /// [`SessionError`] when it cannot be read.
    pub async fn history(&self, tenant: &str, name: &str) -> Result<Option<History>, SessionError> {
        let history = self.stored_history(&SessionKey::of(tenant, name)).await?.value;
        Ok(history.filter(|history| !history.deleted))
    }

    /// A session for its client, with every turn that has ended; `None` when there is none.
    ///
    /// # Errors
    /// [`SessionError`] when it cannot be read.
    pub async fn read(&self, tenant: &str, name: &str) -> Result<Option<Seen>, SessionError> {
        let key = SessionKey::of(tenant, name);
        self.settle_all(&key).await?;
        let waiting = self.queue(&key).await?.value.waiting.len();
        let stored = self.stored_history(&key).await?;
        let history = stored.value.filter(|history| !history.deleted);
        if history.is_none() && waiting == 0 {
            return Ok(None);
        }
        audit("read", tenant, &key, Actor::Client(tenant), stored.seq);
        Ok(Some(Seen { history, waiting }))
    }

    /// Begins the session `name`, which nobody has used before, with these labels and messages.
    ///
    /// # Errors
    /// [`SessionError`] when it cannot be stored.
    pub async fn create(
        &self,
        tenant: &str,
        name: &str,
        metadata: BTreeMap<String, String>,
        messages: Vec<Message>,
    ) -> Result<Created, SessionError> {
        let (key, now) = (SessionKey::of(tenant, name), self.broker.now());
        let mut history = History { metadata, ..History::new(name, now) };
        if !messages.is_empty() {
            let turn = match self.messages(messages).await? {
                Ok(turn) => turn,
                Err(fault) => return Ok(Created::Fault(fault)),
            };
            history = history.with(turn, &self.bounds, now).0;
        }
        let created = |known: Option<History>| match known.filter(|known| !known.deleted) {
            Some(known) => Change::Nothing(Box::new(known)),
            None => Change::To(Box::new(history.clone()), Box::new(history.clone())),
        };
        let (history, revision) = self.change_history(&key, created).await?;
        audit("create", tenant, &key, Actor::Client(tenant), revision);
        Ok(Created::Now(history))
    }

    /// Adds messages that no job made behind what there is. The added turn; `None` when there is no such session.
    ///
    /// # Errors
    /// [`SessionError`] when it cannot be changed.
    pub async fn add(
        &self,
        tenant: &str,
        name: &str,
        messages: Vec<Message>,
    ) -> Result<Option<Result<Turn, TurnFault>>, SessionError> {
        let turn = match self.messages(messages).await? {
            Ok(turn) => turn,
            Err(fault) => return Ok(Some(Err(fault))),
        };
        let now = self.broker.now();
        let added = self.edit("add", tenant, name, |history| {
            // An unknown write may have been stored.
            let there = history.turns.iter().any(|known| known.id == turn.id);
            if there { history } else { history.with(turn.clone(), &self.bounds, now).0 }
        });
        Ok(added.await?.map(|_| Ok(turn)))
    }

    /// Replaces a session's labels. The session; `None` when there is none.
    ///
    /// # Errors
    /// [`SessionError`] when it cannot be changed.
    pub async fn label(
        &self,
        tenant: &str,
        name: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Option<History>, SessionError> {
        let labelled = |history: History| History { metadata: metadata.clone(), ..history };
        self.edit("label", tenant, name, labelled).await
    }

    /// Forgets a session's turns, those that have ended by now included. One that runs meanwhile is the first of what
    /// follows. The session; `None` when there is none.
    ///
    /// # Errors
    /// [`SessionError`] when it cannot be changed.
    pub async fn clear(&self, tenant: &str, name: &str) -> Result<Option<History>, SessionError> {
        self.settle(tenant, name).await?;
        let now = self.broker.now();
        self.edit("clear", tenant, name, |history| history.cleared(now)).await
    }

    /// Forgets a session. A turn that still waits or runs begins it anew. Whether there was one.
    ///
    /// # Errors
    /// [`SessionError`] when it cannot be changed.
    pub async fn delete(&self, tenant: &str, name: &str) -> Result<bool, SessionError> {
        self.settle(tenant, name).await?;
        // Our own write may go unanswered, and be found as done: what was there is gone, whoever took it away.
        let was_there = self.history(tenant, name).await?.is_some();
        let now = self.broker.now();
        self.edit("delete", tenant, name, |history| history.tombstone(now)).await?;
        Ok(was_there)
    }

    /// Replaces the history of a session that there is.
    async fn edit(
        &self,
        action: &'static str,
        tenant: &str,
        name: &str,
        edit: impl Fn(History) -> History,
    ) -> Result<Option<History>, SessionError> {
        let key = SessionKey::of(tenant, name);
        let edited = |history: Option<History>| match history.filter(|history| !history.deleted) {
            Some(history) => {
                let next = edit(history);
                Change::To(Box::new(next.clone()), Some(next))
            }
            None => Change::Nothing(None),
        };
        let (history, revision) = self.change_history(&key, edited).await?;
        if history.is_some() {
            audit(action, tenant, &key, Actor::Client(tenant), revision);
        }
        Ok(history)
    }

    /// Messages as a turn of no job, counted as a model without a name counts.
    async fn messages(&self, messages: Vec<Message>) -> Result<Result<Turn, TurnFault>, SessionError> {
        let now = self.broker.now();
        let turn = match Turn::new(JobId::new(now, runtime::clock::random_bits()), messages, now) {
            Ok(turn) if turn.bytes <= self.bounds.bytes => self.counted(turn, "").await?,
            Ok(turn) => turn,
            Err(fault) => return Ok(Err(fault)),
        };
        let (bytes, tokens) = (turn.bytes, turn.tokens);
        Ok(if self.bounds.hold(&turn) { Ok(turn) } else { Err(TurnFault::TooLarge { bytes, tokens }) })
    }
}
