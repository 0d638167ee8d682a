//! What operators press and write in their chats: received by the leader alone, let in or refused, put on record, carried
//! out, and answered.

mod answers;
mod audit;
mod carry;
mod command;
mod done;
mod door;
mod inquiry;
mod listing;
mod toasts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use runtime::telemetry::Scrubber;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::audit::Entry;
use self::carry::Actor;
use self::command::{Command, Parsed};
use self::done::{Done, Outcome};
use self::door::{Door, Verdict};
pub(crate) use self::inquiry::Inquiry;
use self::toasts::Toasts;
use crate::button::{self, Act};
use crate::errand::{Errand, Known, Place};
use crate::incidents::Book;
use crate::metrics::AlertMetrics;
use crate::order::Orders;
use crate::rich::{Rich, cut, sentence};
use crate::telegram::{Deed, ListenError, Listener, Outlet, Person, Received, Refusal, Spot};

/// Least time from one request for news to the next, when there were none.
const SPACING: Duration = Duration::from_secs(1);
/// The longest wait between tries to receive.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Longest name of a person, as it is kept and shown.
const NAME: usize = 64;

/// Receives for the leader.
pub(crate) struct Operators {
    reach: Reach,
    door: Door,
    toasts: Toasts,
}

/// What an operator's wish may need.
pub(crate) struct Reach {
    pub(crate) listener: Arc<Listener>,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) orders: Orders,
    pub(crate) errands: mpsc::Sender<Errand>,
    pub(crate) known: watch::Receiver<Known>,
    pub(crate) inquiry: Inquiry,
    pub(crate) scrubber: Scrubber,
    pub(crate) metrics: AlertMetrics,
}

/// One thing that somebody did, let in.
struct Visit<'a> {
    person: &'a Person,
    spot: &'a Spot,
    update: u32,
    actor: Actor,
}

impl Operators {
    /// Lets these people in.
    pub(crate) fn new(reach: Reach, people: &[i64]) -> Self {
        let toasts = Toasts::new(reach.listener.clone(), reach.known.clone(), reach.errands.clone());
        Self { reach, door: Door::new(people.iter().copied()), toasts }
    }

    /// Receives until dropped. What was received and not carried out comes again to whoever leads then.
    pub(crate) async fn run(mut self) {
        let bot = self.bot_name().await;
        let (mut offset, mut failures) = (None, 0);
        loop {
            let asked = Instant::now();
            match self.reach.listener.receive(offset).await {
                Ok(updates) => {
                    failures = 0;
                    if updates.is_empty() {
                        sleep_until(asked + SPACING).await;
                    }
                    for update in updates {
                        offset = Some(update.update.saturating_add(1));
                        Box::pin(self.take_up(update, &bot)).await;
                    }
                }
                Err(ListenError::Unreadable { last }) => {
                    tracing::warn!(telegram.update = last, "updates cannot be read, passed over");
                    offset = Some(last.saturating_add(1));
                }
                Err(error) => self.pause(&error, &mut failures).await,
            }
        }
    }

    async fn bot_name(&self) -> String {
        let mut failures = 0;
        loop {
            match self.reach.outlet.name().await {
                Ok(name) => return name,
                Err(refusal) => self.pause(&refusal.into(), &mut failures).await,
            }
        }
    }

    /// Waits longer each time, and says so once.
    async fn pause(&self, error: &ListenError, failures: &mut u32) {
        if *failures == 0 {
            tracing::warn!(reason = %error, "nothing is received from telegram, tried again");
        }
        self.reach.metrics.receive_failures.inc();
        let backoff = Duration::from_secs(1 << (*failures).min(6)).min(MAX_BACKOFF);
        *failures = failures.saturating_add(1);
        let wait = match error {
            ListenError::Refused(Refusal::Throttled(retry_after)) => backoff.max(*retry_after),
            _ => backoff,
        };
        sleep(wait).await;
    }

    async fn take_up(&mut self, received: Received, bot: &str) {
        let Some((person, spot, deed)) = received.what else { return };
        let parsed = match &deed {
            Deed::Wrote(text) => Some(command::parse(text, bot)),
            Deed::Pressed { .. } => None,
        };
        // People talk in their chats: what is no command is none of our business.
        if parsed == Some(Parsed::Ignored) {
            return;
        }
        let now = Instant::now();
        let verdict = self.door.judge(person.as_ref(), spot.as_ref(), &self.reach.known.borrow().chats, now);
        match (verdict, &person, &spot) {
            (Verdict::Welcome, Some(person), Some(spot)) => {
                let visit = Visit::new(person, spot, received.update, &self.reach.known.borrow().chats.clone());
                match (deed, parsed) {
                    (Deed::Pressed { query, data }, _) => self.press(&visit, &query, &data).await,
                    (Deed::Wrote(_), Some(parsed)) => self.command(&visit, parsed).await,
                    (Deed::Wrote(_), None) => {}
                }
            }
            _ => self.turn_away(verdict, person.as_ref(), spot.as_ref(), &deed).await,
        }
    }

    /// A press is answered, so that its button does not spin; a text is not, so that nobody can make us write.
    async fn turn_away(&mut self, verdict: Verdict, person: Option<&Person>, spot: Option<&Spot>, deed: &Deed) {
        let word: &str = verdict.into();
        self.reach.metrics.wishes.with_label_values(&["none", word]).inc();
        if let Some(unsaid) = self.door.tells_refusal(Instant::now()) {
            audit::refused(person, spot, word, unsaid);
        }
        if let Deed::Pressed { query, .. } = deed {
            let words = match verdict {
                Verdict::Hurried => "Too much at once: wait a minute.",
                _ => "You may not do this here.",
            };
            self.toasts.answer(query, words).await;
        }
    }

    async fn press(&mut self, visit: &Visit<'_>, query: &str, data: &str) {
        let Some((act, target)) = button::decode(data) else {
            self.record(visit, "press", &Done::refused("", Vec::new()));
            return self.toasts.answer(query, "This button means nothing any more.").await;
        };
        let keys = carry::keys(&self.reach.orders, target, &visit.actor).await;
        let done = match act {
            Act::Details => self.tell_details(visit, keys).await,
            act => carry::act(&self.reach.orders, act, keys, &visit.actor).await,
        };
        self.record(visit, act.into(), &done);
        self.toasts.answer(query, &done.words).await;
    }

    async fn command(&self, visit: &Visit<'_>, parsed: Parsed) {
        let (name, done) = match parsed {
            Parsed::Ignored => return,
            Parsed::Wrong(name, why) => {
                let said = self.say(visit, vec![answers::usage(name, &why)]).await;
                (name, Done { outcome: Outcome::Refused, ..said })
            }
            Parsed::Command(command) => (command.name(), self.obey(visit, command).await),
        };
        self.record(visit, name.into(), &done);
    }

    async fn obey(&self, visit: &Visit<'_>, command: Command) -> Done {
        let actor = &visit.actor;
        let done = match command {
            Command::Silence { time, matchers, comment } => {
                carry::silence(
                    &self.reach.orders,
                    time,
                    matchers,
                    self.reach.scrubber.clean(&comment).into_owned(),
                    actor,
                )
                .await
            }
            Command::Unsilence(id) => carry::unsilence(&self.reach.orders, id, actor).await,
            Command::Incidents(Some(id)) => return self.tell_details(visit, vec![id]).await,
            Command::Incidents(None) => return self.tell(visit, listing::open).await,
            Command::Silences => return self.tell(visit, listing::silences).await,
            Command::Status => return self.tell_status(visit).await,
            other => {
                let found = self.reach.inquiry.answer(other, visit.update).await;
                let said = self.say(visit, vec![found.text]).await;
                return Done { outcome: found.outcome, about: found.about, ..said };
            }
        };
        self.say(visit, vec![sentence(&done.words)]).await;
        done
    }

    async fn tell_status(&self, visit: &Visit<'_>) -> Done {
        let mut status = self.reach.inquiry.status().await;
        let alerts = carry::look(&self.reach.orders, listing::summary).await.unwrap_or_default();
        status.text(&alerts);
        self.say(visit, vec![status]).await
    }

    /// Tells what the book holds.
    async fn tell(&self, visit: &Visit<'_>, what: fn(&Book) -> Rich) -> Done {
        match carry::look(&self.reach.orders, what).await {
            Some(text) => self.say(visit, vec![text]).await,
            None => Done::unknown(Vec::new()),
        }
    }

    /// Tells all there is to tell of alerts whose fingerprints begin so.
    async fn tell_details(&self, visit: &Visit<'_>, keys: Vec<String>) -> Done {
        let wanted = keys.clone();
        let Some(texts) = carry::look(&self.reach.orders, move |book| listing::details(book, &wanted)).await else {
            return Done::unknown(keys);
        };
        let known = !texts.is_empty();
        let unknown = || vec![sentence("There is no such alert, or it is forgotten.")];
        let said = self.say(visit, if known { texts } else { unknown() }).await;
        let outcome = if known { said.outcome } else { Outcome::Refused };
        Done { outcome, about: keys, ..said }
    }

    /// Has the desk tell this, at the pace of the chat.
    async fn say(&self, visit: &Visit<'_>, texts: Vec<Rich>) -> Done {
        let place =
            Place { chat: visit.actor.chat.clone(), topic: visit.spot.topic, reply_to: Some(visit.spot.message) };
        let (taken, heard) = oneshot::channel();
        let asked = timeout(carry::PATIENCE, async {
            self.reach.errands.send(Errand::Say { place, texts, taken }).await.ok()?;
            heard.await.ok()
        });
        match asked.await.ok().flatten() {
            Some(true) => Done::well("See the answer below.", Vec::new()),
            Some(false) => Done::refused("Too much waits to be told: ask again in a minute.", Vec::new()),
            None => Done::unknown(Vec::new()),
        }
    }

    fn record(&self, visit: &Visit<'_>, action: &str, done: &Done) {
        self.reach.metrics.wishes.with_label_values(&[action, done.outcome.into()]).inc();
        audit::acted(&Entry {
            person: visit.person,
            spot: visit.spot,
            action,
            about: &done.about,
            outcome: done.outcome.into(),
        });
    }
}

impl<'a> Visit<'a> {
    /// `chats` are ours: one is known by the name that the configuration gives it, so that it has one pace.
    fn new(person: &'a Person, spot: &'a Spot, update: u32, chats: &BTreeSet<String>) -> Self {
        let named = |chat: &&String| spot.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(chat));
        let chat = chats.iter().find(named).cloned().unwrap_or_else(|| spot.chat.to_string());
        let (name, message) = (cut(&person.name, NAME), spot.message);
        Self { person, spot, update, actor: Actor { name, chat, message, deed: format!("s{update}") } }
    }
}
