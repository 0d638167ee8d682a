//! One request to the JetStream API and its answer, typed.

use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::BrokerError;

/// What JetStream answers to a publish.
#[derive(Debug, Deserialize)]
pub(crate) struct PubAck {
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) duplicate: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Refused { error: ApiError },
    Fine(T),
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Sends `payload` to `subject` and reads the JSON answer.
pub(crate) async fn request<T: DeserializeOwned>(
    client: &Client,
    subject: String,
    headers: Option<HeaderMap>,
    payload: Bytes,
    timeout: Duration,
) -> Result<T, BrokerError> {
    let mut request = Request::new().payload(payload).timeout(Some(timeout));
    if let Some(headers) = headers {
        request = request.headers(headers);
    }
    let answer = client.send_request(subject, request).await.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => BrokerError::TimedOut,
        // Not sent at all; the server would have said the same.
        RequestErrorKind::MaxPayloadExceeded => BrokerError::too_large(),
        _ => BrokerError::Away(error.into()),
    })?;
    parse(&answer.payload)
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, BrokerError> {
    match serde_json::from_slice(payload) {
        Ok(Answer::Fine(value)) => Ok(value),
        Ok(Answer::Refused { error }) => {
            Err(BrokerError::Refused { code: error.err_code, description: error.description })
        }
        Err(source) => Err(BrokerError::Other { what: "JetStream's answer cannot be read", source: source.into() }),
    }
}
