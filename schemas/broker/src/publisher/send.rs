//! Sending one message, or one atomic batch (ADR-50), and reading what became of it.

use async_nats::HeaderMap;
use bytes::Bytes;

use super::{Outgoing, Published, Waiting, Wire};
use crate::error::BrokerError;
use crate::rpc::{self, PubAck};

const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";
const ID_IN_PROCESS: u64 = 10_158;

/// Publishes one message and waits for its acknowledgement.
pub(super) async fn single(wire: &Wire, message: &Outgoing) -> Published {
    let outcome = request(wire, message.subject.clone(), message.headers.clone(), message.payload.clone()).await;
    count(wire, &outcome, "single");
    outcome
}

/// Publishes all or nothing. A batch that was refused or never answered is repeated singly: the expectations and ids in
/// the headers make that safe.
pub(super) async fn batch(wire: &Wire, batch: Vec<Waiting>) {
    wire.batch_sizes.observe(batch.len() as f64);
    let size = batch.len() as u64;
    let outcome = match batch.len() {
        1 => Published::Unknown,
        _ => commit(wire, &batch).await,
    };
    let Published::Stored { seq, .. } = outcome else { return singly(wire, batch).await };
    count(wire, &outcome, "batch");
    for (position, Waiting { answer, .. }) in (1..=size).zip(batch) {
        drop(answer.send(Published::Stored { seq: seq - size + position, duplicate: false }));
    }
}

async fn singly(wire: &Wire, batch: Vec<Waiting>) {
    let sends = batch.into_iter().map(|Waiting { message, answer }| async move {
        drop(answer.send(single(wire, &message).await));
    });
    futures::future::join_all(sends).await;
}

async fn commit(wire: &Wire, batch: &[Waiting]) -> Published {
    let id = format!("{:032x}", runtime::clock::random_bits());
    let last = batch.len();
    for (sequence, Waiting { message, .. }) in (1..).zip(batch) {
        let mut headers = message.headers.clone();
        headers.insert(BATCH_ID, id.as_str());
        headers.insert(BATCH_SEQUENCE, sequence.to_string().as_str());
        if sequence == last {
            headers.insert(BATCH_COMMIT, "1");
            return request(wire, message.subject.clone(), headers, message.payload.clone()).await;
        }
        let sent = wire.client.publish_with_headers(message.subject.clone(), headers, message.payload.clone()).await;
        if sent.is_err() {
            return Published::Unknown;
        }
    }
    Published::Unknown
}

async fn request(wire: &Wire, subject: String, headers: HeaderMap, payload: Bytes) -> Published {
    match rpc::request::<PubAck>(&wire.client, subject, Some(headers), payload, wire.timeout).await {
        Ok(ack) => Published::Stored { seq: ack.seq, duplicate: ack.duplicate },
        // An earlier message of this id is on its way through the cluster: what becomes of it is not known yet.
        Err(BrokerError::Refused { code: ID_IN_PROCESS, .. }) => Published::Unknown,
        Err(BrokerError::Refused { code, description }) => Published::Refused { code, description },
        Err(_) => Published::Unknown,
    }
}

fn count(wire: &Wire, outcome: &Published, form: &str) {
    let outcome = match outcome {
        Published::Stored { .. } => "stored",
        Published::Refused { .. } => "refused",
        Published::Unknown => "unknown",
    };
    wire.outcomes.with_label_values(&[form, outcome]).inc();
}
