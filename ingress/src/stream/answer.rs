//! A streamed answer in the client's own API. Headers wait for the first content, so that a job that fails before it is answered with its
//! error's own status; after that a failure is an error event, and never looks like an end.

use std::sync::Arc;

use broker::Record;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, Stream, StreamExt};
use schemas::delta::{Delta, Frame};
use schemas::error::Failure;

use super::encoder::Encoder;
use super::inputs;
use super::relay::Relay;
use crate::answer;
use crate::app::App;
use crate::error::ApiError;
use crate::waiters::Waiter;

/// What happens to a streamed job.
pub(crate) enum Input {
    /// A piece of its answer.
    Frame(Frame),
    /// It has ended, or cannot be waited for any longer.
    End(Result<Box<Record>, ApiError>),
}

/// An answer on its way to one client.
pub(crate) struct AnswerStream {
    /// The service.
    pub(crate) app: Arc<App>,
    /// What happens to the job.
    pub(crate) inputs: BoxStream<'static, Input>,
    /// How the client reads it.
    pub(crate) encoder: Encoder,
    /// The attempt that the job's record names: nothing is told of those before it.
    pub(crate) attempt: u32,
    /// Keeps the job alive while the client is there.
    pub(crate) waiter: Waiter,
}

/// What comes next for the client.
enum Step {
    /// More of the answer.
    More(Vec<Delta>),
    /// The rest of the answer, and its end.
    Last(Vec<Delta>),
    /// The job ended otherwise, or it is no use to wait for it.
    Failed(ApiError),
}

/// The stream once it has begun.
struct Running {
    answer: AnswerStream,
    relay: Relay,
    first: Option<Step>,
    /// The job has ended: nothing is to be kept alive any more.
    ended: bool,
}

impl AnswerStream {
    /// Gives the bytes of the answer at once, from what can be said before its first content.
    pub(crate) fn begin(mut self) -> impl Stream<Item = Bytes> + Send + 'static {
        let first = self.encoder.open();
        let running = Running::new(self);
        let rest = stream::unfold(Some(running), |running| async move { running?.next().await });
        stream::once(async { first }).chain(rest).filter(|bytes| std::future::ready(!bytes.is_empty()))
    }

    /// Waits for the first content, then gives the bytes of the answer.
    ///
    /// # Errors
    /// When the job failed before it had any.
    pub(crate) async fn open(self) -> Result<impl Stream<Item = Bytes> + Send + 'static, ApiError> {
        let mut running = Running::new(self);
        match running.step().await {
            Step::Failed(error) => {
                running.count("failed");
                running.leave(error.is_open());
                Err(error)
            }
            step => {
                running.first = Some(step);
                Ok(stream::unfold(Some(running), |running| async move { running?.next().await }))
            }
        }
    }
}

impl Running {
    fn new(answer: AnswerStream) -> Self {
        let relay = Relay::of_attempt(answer.attempt);
        Self { answer, relay, first: None, ended: false }
    }

    /// The next bytes, and the stream behind them unless they are the last.
    async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        let step = match self.first.take() {
            Some(step) => step,
            None => self.step().await,
        };
        match step {
            Step::More(deltas) => {
                self.answer.app.metrics.clients.frames.inc_by(deltas.len() as u64);
                Some((self.encode(&deltas), Some(self)))
            }
            Step::Last(deltas) => {
                self.answer.app.metrics.clients.made_up.inc_by(contents(&deltas));
                let bytes = [self.encode(&deltas), self.answer.encoder.end()].concat();
                self.count("whole");
                self.leave(false);
                Some((bytes.into(), None))
            }
            Step::Failed(error) => {
                self.count("broken");
                let bytes = self.answer.encoder.refused(&error, self.ended);
                self.leave(error.is_open());
                Some((bytes, None))
            }
        }
    }

    async fn step(&mut self) -> Step {
        loop {
            let deltas = match self.answer.inputs.next().await {
                Some(Input::Frame(frame)) => {
                    self.answer.encoder.generation(frame.generation);
                    self.relay.frame(frame)
                }
                Some(Input::End(Ok(record))) => return self.end(&record).await,
                Some(Input::End(Err(error))) => return Step::Failed(error),
                None => return Step::Failed(ApiError::unavailable("the broker's connection was closed")),
            };
            match deltas {
                Ok(deltas) if deltas.is_empty() => {}
                Ok(deltas) => return Step::More(deltas),
                Err(failure) => return Step::Failed(failure.into()),
            }
        }
    }

    async fn end(&mut self, record: &Record) -> Step {
        self.ended = true;
        let rest = match answer::of_record(&self.answer.app, record).await {
            Ok(whole) => {
                let replay = inputs::replay(&record.state, &whole);
                if let Some(first) = replay.as_ref().and_then(|frames| frames.first()) {
                    self.answer.encoder.generation(first.generation);
                }
                self.relay.end(&whole, replay).map_err(|failure: Failure| failure.into())
            }
            Err(error) => Err(error),
        };
        rest.map_or_else(Step::Failed, Step::Last)
    }

    fn encode(&mut self, deltas: &[Delta]) -> Bytes {
        let mut bytes = BytesMut::new();
        for delta in deltas {
            bytes.extend_from_slice(&self.answer.encoder.encode(delta));
        }
        bytes.freeze()
    }

    /// A job that goes on has lost this client. An answer that was left `open` is one that its retry may join.
    fn leave(self, open: bool) {
        self.answer.waiter.told(self.ended, open);
    }

    fn count(&self, outcome: &str) {
        self.answer.app.metrics.clients.streams.with_label_values(&[outcome]).inc();
    }
}

/// How many of these are content.
fn contents(deltas: &[Delta]) -> u64 {
    let content = |delta: &&Delta| !matches!(delta, Delta::Start { .. } | Delta::Finish { .. } | Delta::Usage { .. });
    deltas.iter().filter(content).count() as u64
}
