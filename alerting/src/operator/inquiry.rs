//! Commands whose answers lie outside of alerting: the queue, dead jobs, breakers. Each look is bounded in time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use broker::{Broker, BrokerError, DeadEntry, DeadFilter, Judged, ReplayError, SubmitError};
use futures::{StreamExt, TryStreamExt, stream};
use runtime::clock;
use runtime::config::Config;
use runtime::queue::{Fleet, QueueStatus};
use schemas::alert::AlertEvent;
use schemas::id::JobId;
use schemas::state::JobState;
use tokio::time::timeout;

use super::answers;
use super::command::Command;
use super::done::Outcome;
use crate::rich::{LIMIT, Rich, sentence};

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Dead jobs on one page.
const PAGE: usize = 15;
/// Of which so many are judged at once.
const AT_ONCE: usize = 4;
/// How long a failed subscription waits before it begins again.
const RETRY: Duration = Duration::from_secs(1);

/// Looks things up.
#[derive(Clone)]
pub(crate) struct Inquiry {
    config: Arc<Config>,
    broker: Broker,
    fleet: Arc<Mutex<Fleet>>,
}

/// What was found.
pub(super) struct Found {
    pub(super) text: Rich,
    pub(super) outcome: Outcome,
    pub(super) about: Vec<String>,
}

/// A page of dead jobs that count.
struct Page {
    total: u64,
    jobs: Vec<(DeadEntry, JobState)>,
    next: Option<u64>,
}

impl Found {
    fn well(text: Rich) -> Self {
        Self { text, outcome: Outcome::Done, about: Vec::new() }
    }

    fn not(words: &str) -> Self {
        Self { text: sentence(words), outcome: Outcome::Refused, about: Vec::new() }
    }
}

impl Inquiry {
    /// Nothing heard yet.
    pub(crate) fn new(config: Arc<Config>, broker: Broker) -> Self {
        Self { config, broker, fleet: Arc::new(Mutex::new(Fleet::new(clock::now()))) }
    }

    /// Hears what processes say of themselves, until dropped.
    pub(crate) async fn listen(self) {
        loop {
            match self.broker.stats().await {
                Ok(mut feed) => {
                    while let Some(stats) = feed.next().await {
                        self.fleet.lock().unwrap_or_else(PoisonError::into_inner).hear(clock::now(), &stats);
                    }
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "stats cannot be heard");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// What the status begins with.
    pub(super) async fn status(&self) -> Rich {
        let mut rich = Rich::new(LIMIT);
        rich.bold(&format!("PortBroker {}", env!("CARGO_PKG_VERSION")));
        rich.text(&format!(", told by {}\n", self.broker.instance()));
        match bounded(self.queue()).await {
            Ok(queue) => answers::summary(&mut rich, &queue),
            Err(error) => {
                rich.text(unanswered(&error));
            }
        }
        if let Ok(open) = bounded(self.broker.open_breakers()).await {
            rich.text(&format!("\nBreakers not closed: {}", open.len()));
        }
        rich
    }

    /// The answer to a command. `update` names the text that asked: read again after a crash it does nothing twice.
    pub(super) async fn answer(&self, command: Command, update: u32) -> Found {
        let answered = match command {
            Command::Queue => bounded(self.queue()).await.map(|queue| Found::well(answers::queue(&queue))),
            Command::Dead(after) => bounded(self.dead(after))
                .await
                .map(|page| Found::well(answers::dead(page.total, &page.jobs, page.next))),
            Command::Breakers => bounded(self.broker.open_breakers()).await.map(|mut open| {
                open.sort_by(|one, other| (&one.provider, &one.model).cmp(&(&other.provider, &other.model)));
                Found::well(answers::breakers(&open))
            }),
            Command::Replay(id) => self.replay(id, update).await,
            Command::Test => bounded(self.test(update)).await,
            _ => return Found::well(answers::help()),
        };
        answered.unwrap_or_else(|error| Found::not(unanswered(&error)))
    }

    async fn queue(&self) -> Result<QueueStatus, BrokerError> {
        let depth = self.broker.depth().await?;
        let mut fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(fleet.status(clock::now(), &depth, &self.config.queue))
    }

    async fn dead(&self, after: u64) -> Result<Page, BrokerError> {
        let total = self.broker.depth().await?.total().dead;
        let page = self.broker.dead_entries(&DeadFilter::default(), after, PAGE).await?;
        let next = page.entries.last().map(|entry| entry.seq).filter(|_| page.more);
        let judged = stream::iter(page.entries).map(async |entry| Ok((entry, self.judged(entry).await?)));
        let judged: Vec<_> =
            judged.buffered(AT_ONCE).try_collect::<Vec<_>>().await.map_err(|error: BrokerError| error)?;
        let jobs = judged.into_iter().filter_map(|(entry, state)| Some((entry, state?))).collect();
        Ok(Page { total, jobs, next })
    }

    /// How the job of an entry ended, if the entry counts. History is not ours to ask: what only it knows, counts.
    async fn judged(&self, entry: DeadEntry) -> Result<Option<JobState>, BrokerError> {
        match self.broker.judge_dead(entry, None).await? {
            Judged::Counts(state) => Ok(Some(*state)),
            Judged::Nothing => Ok(None),
            Judged::Forgotten(job) => self.broker.judge_forgotten(entry, &job, None).await,
        }
    }

    async fn replay(&self, id: JobId, update: u32) -> Result<Found, BrokerError> {
        let found = bounded(async {
            let Some((entry, dead)) = self.broker.dead_job(None, id).await? else { return Ok(None) };
            Ok(self.judged(entry).await?.map(|_| dead))
        });
        let Some(dead) = found.await? else { return Ok(Found::not("There is no such dead job.")) };
        let key = format!("telegram-{update}");
        let child = JobId::deterministic(&dead.job.head.tenant, &format!("{key}-{id}"));
        match self.broker.replay(&dead.job, child, &key).await {
            Ok(accepted) => Ok(Found {
                about: vec![id.job(), child.job()],
                ..Found::well(answers::replayed(id, child, accepted.replayed))
            }),
            Err(ReplayError::Broker(error) | ReplayError::Submit(SubmitError::Broker(error))) => Err(error),
            Err(refused) => Ok(Found { about: vec![id.job()], ..Found::not(&format!("Not replayed: {refused}.")) }),
        }
    }

    async fn test(&self, update: u32) -> Result<Found, BrokerError> {
        let event = AlertEvent::test(&format!("telegram-{update}"), self.broker.instance(), clock::now());
        self.broker.alert(&event).await?;
        let words = "A test alert is on its way: it comes here, or wherever alerts of its kind go.";
        Ok(Found { about: vec![event.fingerprint()], ..Found::well(sentence(words)) })
    }
}

async fn bounded<T>(look: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    timeout(PATIENCE, look).await.unwrap_or(Err(BrokerError::TimedOut))
}

/// Without the error's own text: that is for the log.
fn unanswered(error: &BrokerError) -> &'static str {
    tracing::warn!(error = error as &dyn std::error::Error, "an operator's command cannot be answered");
    "The broker does not answer: try again."
}
