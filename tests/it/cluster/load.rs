//! Clients that retry a broken connection and a 503 that says when to come again, and take nothing else for an answer.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::api::{Answer, Api, is_terminal, job_id, outcomes, output_text, prompt};
use harness::cluster::KEY_ONE;
use harness::provider::{Ending, Provider};
use harness::wait::{check, until};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::three::LIMIT;

/// How many at once.
pub(super) const CLIENTS: usize = 8;
/// Between a broken connection and the next try, at the other door.
const PAUSE: Duration = Duration::from_millis(100);

/// What all clients share.
#[derive(Debug, Default)]
struct Tally {
    accepted: AtomicUsize,
    ended: AtomicUsize,
    broken: AtomicUsize,
    refused: AtomicUsize,
}

/// Clients at work.
pub(super) struct Load {
    tally: Arc<Tally>,
    clients: JoinSet<Vec<Ended>>,
    stop: CancellationToken,
}

/// One job that was seen to its end.
#[derive(Debug)]
pub(super) struct Ended {
    id: String,
    prompt: String,
    job: Value,
    /// How its attempts ended.
    pub(super) outcomes: Vec<String>,
    took: Duration,
}

/// What all of them saw.
#[derive(Debug)]
pub(super) struct Told {
    /// Every job.
    pub(super) jobs: Vec<Ended>,
    broken: usize,
    refused: usize,
    longest: Duration,
}

impl Load {
    /// Sends clients to the ingresses at `bases`.
    pub(super) fn start(bases: &[String]) -> Self {
        let (tally, stop, mut clients) = (Arc::new(Tally::default()), CancellationToken::new(), JoinSet::new());
        for number in 0..CLIENTS {
            let doors = bases.iter().map(|base| Api::new(base, KEY_ONE)).collect();
            let client = Client { number, doors, tally: Arc::clone(&tally), stop: stop.clone() };
            clients.spawn(client.run());
        }
        Self { tally, clients, stop }
    }

    /// How many jobs were accepted.
    pub(super) fn accepted(&self) -> usize {
        self.tally.accepted.load(Ordering::Relaxed)
    }

    /// Waits until this many more jobs have ended.
    pub(super) async fn goes_on(&self, jobs: usize) {
        let ended = || self.tally.ended.load(Ordering::Relaxed);
        let enough = ended() + jobs;
        until("jobs that end", LIMIT, async || check(ended() >= enough, format!("{} of {enough} ended", ended())))
            .await;
    }

    /// Sees every job to its end; what was seen.
    pub(super) async fn stop(self) -> Told {
        self.stop.cancel();
        let jobs: Vec<_> = self.clients.join_all().await.into_iter().flatten().collect();
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let longest = jobs.iter().map(|job| job.took).max().unwrap_or_default();
        Told { jobs, broken: count(&self.tally.broken), refused: count(&self.tally.refused), longest }
    }
}

impl Told {
    /// No job was lost, none was doubled, and the provider's book says the same as the ledgers.
    pub(super) fn is_whole(&self, provider: &Provider) {
        let calls = provider.calls();
        let ids: HashSet<_> = self.jobs.iter().map(|job| &job.id).collect();
        assert_eq!(ids.len(), self.jobs.len(), "no two submits were given one job");
        for ended in &self.jobs {
            let (job, told) = (&ended.job, output_text(&ended.job));
            assert_eq!((&job["status"], told), (&"completed".into(), format!("fake: {}", ended.prompt)), "{job}");
            let called = calls.iter().filter(|call| call.prompt() == ended.prompt).count();
            let sent = ended.outcomes.iter().filter(|outcome| *outcome != "aborted").count();
            assert_eq!(called, sent, "every call is in its ledger: {job}");
            assert_eq!(ended.outcomes.iter().filter(|outcome| *outcome == "ok").count(), 1, "{job}");
        }
        let prompts: HashSet<_> = self.jobs.iter().map(|job| job.prompt.clone()).collect();
        let strange: Vec<_> = calls.iter().filter(|call| !prompts.contains(&call.prompt())).collect();
        assert!(strange.is_empty(), "calls of jobs that nobody submitted: {strange:#?}");
        assert!(calls.iter().all(|call| call.ending != Ending::Open), "everything has come to rest");
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jobs, broken, refused, longest } = self;
        let (jobs, longest) = (jobs.len(), longest.as_millis());
        write!(f, "{jobs} jobs, {broken} broken connections, {refused} times 503, longest job {longest} ms")
    }
}

/// One client, one job after the other.
struct Client {
    number: usize,
    doors: Vec<Api>,
    tally: Arc<Tally>,
    stop: CancellationToken,
}

impl Client {
    async fn run(self) -> Vec<Ended> {
        let mut jobs = Vec::new();
        while !self.stop.is_cancelled() {
            let prompt = format!("client-{}-job-{}", self.number, jobs.len());
            jobs.push(self.job(prompt).await);
            self.tally.ended.fetch_add(1, Ordering::Relaxed);
        }
        jobs
    }

    async fn job(&self, text: String) -> Ended {
        let (began, body) = (Instant::now(), prompt("fake", &text));
        let submit = |door: &Api| door.request(Method::POST, "/v1/jobs").header("idempotency-key", &text).json(&body);
        let id = job_id(&self.answered(submit).await.expect(202).body);
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
        let path = format!("/v1/jobs/{id}");
        loop {
            let read = |door: &Api| door.request(Method::GET, &path).header("prefer", "wait=5");
            let job = self.answered(read).await.expect(200).body;
            if is_terminal(&job) {
                let outcomes = outcomes(&job).into_iter().map(str::to_owned).collect();
                return Ended { id, prompt: text, outcomes, took: began.elapsed(), job };
            }
        }
    }

    /// An answer, after as many retries as the server asks for or its connections need, at one door after the other.
    async fn answered(&self, request: impl Fn(&Api) -> RequestBuilder) -> Answer {
        let deadline = Instant::now() + LIMIT;
        for door in self.number.. {
            let door = &self.doors[door % self.doors.len()];
            match door.try_send(request(door)).await {
                Ok(answer) if answer.status == 503 => {
                    let after: u64 = answer.header("retry-after").parse().expect("a 503 says when to come again");
                    self.tally.refused.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_secs(after)).await;
                }
                Ok(answer) => return answer,
                Err(error) => {
                    assert!(!error.is_timeout(), "no answer at all: {error}");
                    self.tally.broken.fetch_add(1, Ordering::Relaxed);
                    sleep(PAUSE).await;
                }
            }
            assert!(Instant::now() < deadline, "no answer within {LIMIT:?}");
        }
        unreachable!("doors do not end")
    }
}
