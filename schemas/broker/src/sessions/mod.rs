//! Sessions on the broker: each is two values of the bucket SESSIONS, its history and the line of its waiting turns,
//! replaced by the revision that was read. STATE stays the one truth of every turn: whoever finds a turn ended in the
//! line settles it, so that a crash anywhere is made good by whoever looks next.

mod audit;
mod gate;
mod manage;
mod settle;
mod store;
mod summarize;
mod sweep;

use std::sync::Arc;

use runtime::cipher::Cipher;
use runtime::config::SessionsConfig;
use schemas::chat::Message;
use schemas::error::{ErrorCode, Failure};
use schemas::session::{Bounds, SessionKey};

pub use gate::Gate;
pub use manage::{Created, Seen};

use crate::broker::Broker;
use crate::error::BrokerError;

/// Most tries of one change: whoever is refused has lost to somebody else's change of the same session.
const TRIES: u32 = 64;

/// Counts the tokens of messages as the model of this name does.
pub type CountTokens = Arc<dyn Fn(&str, &[Message]) -> u64 + Send + Sync>;

/// Why a session cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Its history is encrypted with a key that is none of ours. It stays as it is.
    #[error("the session is encrypted with another key than sessions.encryption_key and sessions.previous_keys")]
    Locked,
    /// Others changed it again and again.
    #[error("the session is being changed too often")]
    Busy,
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<&SessionError> for Failure {
    fn from(error: &SessionError) -> Self {
        let message = match error {
            SessionError::Locked => {
                "the session is encrypted with a key that is not configured: \
                 set sessions.encryption_key, or add the key to sessions.previous_keys"
            }
            SessionError::Busy => "the session is being changed too often; try again",
            SessionError::Broker(_) => "the session cannot be read; try again",
        };
        Self::new(ErrorCode::Unavailable, message)
    }
}

impl From<schemas::envelope::EnvelopeError> for SessionError {
    fn from(error: schemas::envelope::EnvelopeError) -> Self {
        Self::Broker(error.into())
    }
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    broker: Broker,
    cipher: Cipher,
    bounds: Bounds,
    most_waiting: usize,
    count: CountTokens,
}

impl Sessions {
    /// Sessions as they are configured. With a password it takes a good part of a second, off the async threads.
    ///
    /// # Errors
    /// [`BrokerError::Settings`] for a key that validation would have refused.
    pub async fn open(broker: &Broker, config: &SessionsConfig, count: CountTokens) -> Result<Self, BrokerError> {
        let keys = config.clone();
        let cipher = tokio::task::spawn_blocking(move || Cipher::of_sessions(&keys)).await;
        let cipher = cipher.map_err(BrokerError::other("the key of sessions was not made"))?;
        let cipher = cipher.map_err(|error| BrokerError::Settings(format!("sessions.encryption_key: {error}")))?;
        let bounds = Bounds { turns: config.max_turns, tokens: config.max_tokens, bytes: config.max_bytes };
        Ok(Self { broker: broker.clone(), cipher, bounds, most_waiting: config.max_waiting, count })
    }

    /// How many turns of a session wait or run.
    ///
    /// # Errors
    /// [`SessionError::Broker`] when the broker cannot be asked.
    pub async fn waiting(&self, tenant: &str, name: &str) -> Result<usize, SessionError> {
        Ok(self.queue(&SessionKey::of(tenant, name)).await?.value.waiting.len())
    }
}
