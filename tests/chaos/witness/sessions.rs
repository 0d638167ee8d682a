//! Sessions, past all proxies: every version of each line and history as it passes by, and what is left in the end.

use std::collections::BTreeMap;

use async_nats::jetstream::{Context, Message};
use schemas::chat::Message as Said;
use schemas::session::{History, TurnQueue};
use schemas::{envelope, subject};
use tokio_util::sync::CancellationToken;

use super::{Trouble, scan, seen};
use crate::history::{Jobs, Session, Turn};

/// A version of one of a session's two values.
enum Value {
    Line(TurnQueue),
    History(Box<History>),
    /// It was deleted by hand.
    Nothing,
}

/// Follows all sessions until `stop`.
pub(crate) async fn follow(context: Context, stop: CancellationToken) -> BTreeMap<String, Session> {
    let read = |message: &Message| Ok((decode(message)?, message.info()?.published.into()));
    let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
    for ((key, value), written) in seen(&context, &stream(), &stop, read).await {
        let session = sessions.entry(key).or_default();
        match value {
            Value::Line(line) => session.lines.push(Jobs { written, jobs: line.waiting }),
            Value::History(history) => {
                let jobs = history.turns.iter().map(|turn| turn.id).collect();
                session.histories.push(Jobs { written, jobs });
            }
            Value::Nothing => {}
        }
    }
    sessions
}

/// Adds what the broker holds to what was seen.
pub(crate) async fn read(context: &Context, sessions: &mut BTreeMap<String, Session>) {
    for (key, value) in scan(context, &stream(), decode).await {
        let session = sessions.entry(key).or_default();
        match value {
            Value::Line(line) => session.line = line.waiting,
            Value::History(history) => {
                session.appended = history.appended;
                session.turns = history.turns.into_iter().map(turn).collect();
            }
            Value::Nothing => {}
        }
    }
}

/// Whether nobody stands in any line.
pub(crate) async fn are_settled(context: &Context) -> bool {
    let values = scan(context, &stream(), decode).await;
    !values.iter().any(|(_, value)| matches!(value, Value::Line(line) if !line.waiting.is_empty()))
}

/// The stream behind the bucket.
fn stream() -> String {
    format!("KV_{}", subject::SESSIONS)
}

/// The key of a session, and the value.
fn decode(message: &Message) -> Result<(String, Value), Trouble> {
    let subject = message.subject.strip_prefix(&format!("$KV.{}.", subject::SESSIONS));
    let (key, kind) = subject.and_then(|rest| rest.rsplit_once('.')).ok_or("no session in a subject of its bucket")?;
    let value = match kind {
        _ if message.payload.is_empty() => Value::Nothing,
        "queue" => Value::Line(envelope::decode(&message.payload)?),
        _ => Value::History(Box::new(envelope::decode(&message.payload)?)),
    };
    Ok((key.to_owned(), value))
}

fn turn(turn: schemas::session::Turn) -> Turn {
    Turn { id: turn.id, number: turn.number, said: turn.messages.iter().map(Said::joined_text).collect() }
}
