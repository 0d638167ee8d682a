//! Receives what operators press and write, and lets it in or turns it away.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::done::Done;
use super::door::{Door, Verdict};
use super::parse::{Parsed, parse};
use super::reach::Reach;
use super::toasts::Toasts;
use super::visit::Visit;
use super::{audit, carry};
use crate::button::{self, Act};
use crate::errand::{Errand, unheld};
use crate::telegram::{Deed, ListenError, Person, Received, Refusal, Spot};

/// Least time from one request for news to the next, when there were none.
const SPACING: Duration = Duration::from_secs(1);
/// The longest wait between tries to receive.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Receives for the leader.
pub(crate) struct Operators {
    reach: Reach,
    door: Door,
    toasts: Toasts,
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
            self.unheld().await;
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
            self.unheld().await;
            match self.reach.outlet.name().await {
                Ok(name) => return name,
                Err(refusal) => self.pause(&refusal.into(), &mut failures).await,
            }
        }
    }

    /// While no call may be made none is.
    async fn unheld(&self) {
        while !unheld(&self.reach.known, MAX_BACKOFF).await {
            sleep(MAX_BACKOFF).await;
        }
    }

    /// Waits longer each time, and says so once. Telegram counts the calls of all of us: when it wants none of ours, the
    /// desk is to make none either.
    async fn pause(&self, error: &ListenError, failures: &mut u32) {
        if *failures == 0 {
            tracing::warn!(reason = %error, "nothing is received from telegram, tried again");
        }
        self.reach.metrics.receive_failures.inc();
        let backoff = Duration::from_secs(1 << (*failures).min(6)).min(MAX_BACKOFF);
        *failures = failures.saturating_add(1);
        let wait = match error {
            ListenError::Refused(Refusal::Throttled(retry_after)) => {
                // The desk may be gone; then so are we.
                let _ = self.reach.errands.send(Errand::Hold(*retry_after)).await;
                backoff.max(*retry_after)
            }
            _ => backoff,
        };
        sleep(wait).await;
    }

    async fn take_up(&mut self, received: Received, bot: &str) {
        let Some((person, spot, deed)) = received.what else { return };
        let parsed = match &deed {
            Deed::Wrote(text) => Some(parse(text, bot)),
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
                    (Deed::Wrote(_), Some(parsed)) => self.reach.command(&visit, parsed).await,
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
            self.reach.record(visit, "press", &Done::refused("", Vec::new()));
            return self.toasts.answer(query, "This button means nothing any more.").await;
        };
        let keys = carry::keys(&self.reach.orders, act, target, &visit.actor).await;
        let done = match act {
            Act::Details => self.reach.tell_details(visit, keys).await,
            act => carry::act(&self.reach.orders, act, keys, &visit.actor).await,
        };
        self.reach.record(visit, act.into(), &done);
        self.toasts.answer(query, &done.words).await;
    }
}
