//! What can go wrong between us and the broker.

use schemas::envelope::EnvelopeError;

/// A failed exchange with NATS. `Away` and `TimedOut` mean: try again; nothing is known to be lost.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No connection, or nobody answers for the stream.
    #[error("NATS is not reachable")]
    Away(#[source] async_nats::Error),
    /// No answer within the request timeout.
    #[error("NATS did not answer in time")]
    TimedOut,
    /// The server answered with an error of its own.
    #[error("NATS refused: {description} (code {code})")]
    Refused {
        /// JetStream's error code.
        code: u64,
        /// Its text.
        description: String,
    },
    /// The server is older than the features we stand on.
    #[error("nats-server {found} is too old: PortBroker needs {needed} or newer (message schedules, atomic batches)")]
    TooOld {
        /// What answered.
        found: String,
        /// What is needed.
        needed: &'static str,
    },
    /// The server runs without JetStream.
    #[error("nats-server runs without JetStream: start it with -js, or with the nats.conf of this project")]
    NoJetStream,
    /// A setting cannot be used.
    #[error("{0}")]
    Settings(String),
    /// A value is not what we write there.
    #[error("a stored value cannot be read")]
    Envelope(#[from] EnvelopeError),
    /// Anything else, with its cause.
    #[error("{what}")]
    Other {
        /// What was tried.
        what: &'static str,
        /// The cause.
        #[source]
        source: async_nats::Error,
    },
}

/// JetStream's code for a message that is larger than may be stored.
const TOO_LARGE: u64 = 10_054;

impl BrokerError {
    /// A message that is larger than NATS takes.
    pub(crate) fn too_large() -> Self {
        Self::Refused { code: TOO_LARGE, description: "message size exceeds maximum allowed".to_owned() }
    }

    /// Whether the same may work later on: nothing is wrong with what was asked.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Away(_) | Self::TimedOut | Self::Other { .. } => true,
            Self::Refused { code, .. } => *code != TOO_LARGE,
            Self::TooOld { .. } | Self::NoJetStream | Self::Settings(_) | Self::Envelope(_) => false,
        }
    }

    /// Wraps a client error that has no meaning of its own for us.
    pub(crate) fn other<E: Into<async_nats::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Other { what, source: source.into() }
    }
}
