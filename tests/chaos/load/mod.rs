//! Clients by the hundred, over HTTP as anybody's would be: they submit, with and without keys, stream, cancel, poll, look
//! again, and write down what they saw.

mod chat;
mod events;
mod http;
mod wish;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use runtime::clock;
use schemas::id::JobId;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::history::{Client, Seen};
use crate::options::Options;
use http::Doors;
use wish::{Manner, Wish};

/// Between two tries at a door that did not answer.
pub(crate) const PAUSE: Duration = Duration::from_millis(250);
/// How often a keyed submit is repeated until it is accepted.
const TRIES: usize = 40;

/// What the progress line tells.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Wishes made.
    pub(crate) wishes: AtomicUsize,
    /// Jobs accepted.
    pub(crate) accepted: AtomicUsize,
    /// Jobs whose end was seen.
    pub(crate) ended: AtomicUsize,
}

/// When clients leave off.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// No new wishes.
    pub(crate) stop: CancellationToken,
    /// No more patience with those that were made.
    pub(crate) late: CancellationToken,
}

/// Makes wishes until it is told to stop, then sees each through to its end, for as long as the drain may take.
pub(crate) async fn run(options: &Options, bases: &[String], tally: Arc<Tally>, ends: Ends) -> Vec<Client> {
    let doors = Doors::new(bases);
    let places = Arc::new(Semaphore::new(options.clients));
    let mut clients = JoinSet::new();
    let mut pace = interval(Duration::from_secs_f64(1.0 / options.jobs_per_second.max(0.01)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        let place = tokio::select! {
            () = ends.stop.cancelled() => break,
            place = async { pace.tick().await; Arc::clone(&places).acquire_owned().await } => place,
        };
        let visit = Visit {
            wish: Wish::draw(options.seed, number, options.sessions),
            doors: doors.clone(),
            tally: Arc::clone(&tally),
            late: ends.late.clone(),
        };
        tally.wishes.fetch_add(1, Ordering::Relaxed);
        clients.spawn(async move {
            let client = visit.run().await;
            drop(place);
            client
        });
    }
    clients.join_all().await
}

/// One client's whole visit.
struct Visit {
    wish: Wish,
    doors: Doors,
    tally: Arc<Tally>,
    late: CancellationToken,
}

impl Visit {
    async fn run(self) -> Client {
        let mut client = http::blank(&self.wish.marker, self.wish.key());
        match self.wish.manner {
            Manner::Keyed(copies) => self.submit_keyed(&mut client, copies).await,
            Manner::Chat(stream) => {
                let body = self.wish.chat_body(stream);
                client.events.extend(chat::call(&self.doors, self.wish.door, &body, stream).await);
            }
            _ => {
                let body = self.wish.body(clock::now());
                client.events.push(self.doors.submit(self.wish.door, &body, None).await);
            }
        }
        let Some(id) = client.ids().first().copied() else { return client };
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
        match self.wish.manner {
            Manner::Streamed => client.events.extend(events::follow(&self.doors, self.wish.door, id, &self.late).await),
            Manner::Cancelled(after) => self.cancel(&mut client, id, after).await,
            _ => {}
        }
        if self.poll(&mut client, id).await {
            self.tally.ended.fetch_add(1, Ordering::Relaxed);
            sleep(self.wish.second_look).await;
            self.poll(&mut client, id).await;
        }
        client
    }

    /// The same submit several times at once, at both doors, and again until one is accepted.
    async fn submit_keyed(&self, client: &mut Client, copies: usize) {
        let body = self.wish.body(clock::now());
        for attempt in 0..TRIES {
            let submits = (0..copies).map(|copy| {
                let door = self.wish.door + attempt + copy;
                self.doors.submit(door, &body, client.key.as_deref())
            });
            let seen = join_all(submits).await;
            // A deadline that has passed meanwhile.
            let in_vain = seen.iter().any(|event| event.what == Seen::Refused(400));
            client.events.extend(seen);
            if in_vain || !client.ids().is_empty() || self.late.is_cancelled() {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    async fn cancel(&self, client: &mut Client, id: JobId, after: Duration) {
        sleep(after).await;
        for attempt in 0..TRIES {
            let event = self.doors.cancel(self.wish.door + attempt, id).await;
            let said = matches!(event.what, Seen::CancelSaid(_) | Seen::Missing(_));
            client.events.push(event);
            if said || self.late.is_cancelled() {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Reads until the job has ended, at one door after the other. Answers without news are not written down.
    async fn poll(&self, client: &mut Client, id: JobId) -> bool {
        for door in self.wish.door.. {
            let event = self.doors.read(door, id).await;
            let ended = matches!(&event.what, Seen::Read(status, _) if status.is_terminal());
            if !matches!(event.what, Seen::Read(..)) {
                sleep(PAUSE).await;
            }
            if ended || matches!(event.what, Seen::Missing(_)) {
                client.events.push(event);
            }
            if ended || self.late.is_cancelled() {
                return ended;
            }
        }
        false
    }
}
