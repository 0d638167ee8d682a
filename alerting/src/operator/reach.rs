//! What an operator may wish for, done and answered in their chat.

use std::sync::Arc;

use runtime::telemetry::Scrubber;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::audit::{self, Entry};
use super::command::Command;
use super::done::{Done, Outcome};
use super::inquiry::Inquiry;
use super::parse::Parsed;
use super::visit::Visit;
use super::{answers, carry, listing};
use crate::errand::{Errand, Known, Place};
use crate::incidents::Book;
use crate::metrics::AlertMetrics;
use crate::order::Orders;
use crate::rich::{Rich, sentence};
use crate::telegram::{Listener, Outlet};

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

impl Reach {
    /// Does what a command asks for, answers and records it.
    pub(super) async fn command(&self, visit: &Visit<'_>, parsed: Parsed) {
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
                carry::silence(&self.orders, time, matchers, self.scrubber.clean(&comment).into_owned(), actor).await
            }
            Command::Unsilence(id) => carry::unsilence(&self.orders, id, actor).await,
            Command::Incidents(Some(id)) => return self.tell_details(visit, vec![id]).await,
            Command::Incidents(None) => return self.tell(visit, listing::open).await,
            Command::Silences => return self.tell(visit, listing::silences).await,
            Command::Status => return self.tell_status(visit).await,
            other => {
                let found = self.inquiry.answer(other, visit.update).await;
                let said = self.say(visit, vec![found.text]).await;
                return Done { outcome: found.outcome, about: found.about, ..said };
            }
        };
        self.say(visit, vec![sentence(&done.words)]).await;
        done
    }

    async fn tell_status(&self, visit: &Visit<'_>) -> Done {
        let mut status = self.inquiry.status().await;
        let alerts = carry::look(&self.orders, listing::summary).await.unwrap_or_default();
        status.text(&alerts);
        self.say(visit, vec![status]).await
    }

    /// Tells what the book holds.
    async fn tell(&self, visit: &Visit<'_>, what: fn(&Book) -> Rich) -> Done {
        match carry::look(&self.orders, what).await {
            Some(text) => self.say(visit, vec![text]).await,
            None => Done::unknown(Vec::new()),
        }
    }

    /// Tells all there is to tell of alerts whose fingerprints begin so.
    pub(super) async fn tell_details(&self, visit: &Visit<'_>, keys: Vec<String>) -> Done {
        let wanted = keys.clone();
        let Some(texts) = carry::look(&self.orders, move |book| listing::details(book, &wanted)).await else {
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
            self.errands.send(Errand::Say { place, texts, taken }).await.ok()?;
            heard.await.ok()
        });
        match asked.await.ok().flatten() {
            Some(true) => Done::well("See the answer below.", Vec::new()),
            Some(false) => Done::refused("Too much waits to be told: ask again in a minute.", Vec::new()),
            None => Done::unknown(Vec::new()),
        }
    }

    /// Puts on record what came of a wish.
    pub(super) fn record(&self, visit: &Visit<'_>, action: &str, done: &Done) {
        self.metrics.wishes.with_label_values(&[action, done.outcome.into()]).inc();
        audit::acted(&Entry {
            person: visit.person,
            spot: visit.spot,
            action,
            about: &done.about,
            outcome: done.outcome.into(),
        });
    }
}
