//! Carrying out what the protocol's machines ask for. While NATS is away it keeps trying: whoever must give up earlier
//! drops the future.

use std::mem::discriminant;
use std::ops::ControlFlow::{Break, Continue};

use schemas::id::JobId;
use schemas::job::{Job, Lane};
use schemas::state::{Carrier, Nonce};
use schemas::subject;

use crate::backoff::Backoff;
use crate::broker::Broker;
use crate::error::BrokerError;
use crate::find::Sighting;
use crate::protocol::machine::{Action, Event, Hint, Machine, Message, Next, Place, Published, Waiting};
use crate::settle::Ticket;

/// The delivered message of an operation.
pub(crate) enum InHand<'a> {
    /// There is none.
    Nothing,
    /// It stays with its holder.
    Kept(&'a Ticket),
    /// It is settled in the end.
    Given(Option<Box<Ticket>>),
}

/// What one operation works on.
pub(crate) struct Hands<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) id: JobId,
    /// The operation's name, for metrics.
    pub(crate) name: &'static str,
    /// The job itself, where copies of it may have to be published; with the lane and the nonce of its carrier else.
    pub(crate) on: On<'a>,
    pub(crate) message: InHand<'a>,
}

/// What is known of the job.
pub(crate) enum On<'a> {
    /// Its id alone.
    Id,
    /// The job, and the nonce that parks it.
    Job(&'a Job, &'a Nonce),
    /// Its lane and carrier.
    Carrier(Lane, &'a Carrier),
}

impl Hands<'_> {
    /// Runs a machine to its outcome.
    ///
    /// # Errors
    /// [`BrokerError`] for what trying again does not help.
    pub(crate) async fn run<M: Machine>(
        &mut self,
        (mut machine, mut next): (M, Next<M::Outcome>),
    ) -> Result<M::Outcome, BrokerError> {
        let (mut wait, mut published, mut writes) = (Backoff::default(), false, 0_u32);
        loop {
            let action = match next {
                Break(outcome) => return Ok(outcome),
                Continue(action) => action,
            };
            let event = loop {
                match self.perform(&action).await {
                    Err(BrokerError::Away(_) | BrokerError::TimedOut) => wait.pause().await,
                    performed => break performed?,
                }
            };
            published |= matches!(action, Action::Publish);
            writes += u32::from(matches!(action, Action::Write(_)));
            next = machine.step(event, self.broker.now());
            let again = match &next {
                Continue(Action::Publish) => published,
                // One may lose to another's; who loses again and again would ask without end.
                Continue(Action::Write(_)) => writes > 1,
                Continue(asked) => discriminant(asked) == discriminant(&action),
                Break(_) => false,
            };
            if again {
                wait.pause().await;
            }
        }
    }

    async fn perform(&mut self, action: &Action) -> Result<Event, BrokerError> {
        let broker = self.broker;
        Ok(match action {
            Action::Read => Event::Record(broker.state(self.id).await?),
            Action::Write(write) => Event::Written(broker.write(self.id, write, self.name).await?),
            Action::Find => {
                Event::Found(broker.find_waiting(self.id).await?.and_then(|sighting| waiting(self.id, sighting)))
            }
            Action::Look(place) => Event::Seen(self.look(*place).await?),
            Action::Publish | Action::Schedule(_) | Action::PublishDead(_) => {
                Event::Published(self.publish(action).await?)
            }
            Action::Delete(seq) => {
                broker.delete(subject::jobs_stream(self.lane()), *seq).await?;
                Event::Sent
            }
            Action::Tell(hint) => {
                broker.hint(hint_subject(*hint, self.id)).await;
                Event::Sent
            }
            Action::Ack | Action::Nak(_) | Action::Progress => {
                self.settle(action).await;
                Event::Sent
            }
        })
    }

    async fn publish(&self, action: &Action) -> Result<Published, BrokerError> {
        let On::Job(job, nonce) = self.on else {
            return Err(BrokerError::Settings("an operation without its job cannot publish it".to_owned()));
        };
        match action {
            Action::Schedule(until) => self.broker.schedule(job, nonce, *until).await,
            Action::PublishDead(dead) => self.broker.publish_dead(job, &dead.state, &dead.result).await,
            _ => self.broker.publish_job(job).await,
        }
    }

    async fn settle(&mut self, action: &Action) {
        match (action, &mut self.message) {
            (Action::Progress, InHand::Kept(ticket)) => ticket.progress().await,
            (Action::Progress, InHand::Given(Some(ticket))) => ticket.progress().await,
            (Action::Ack, InHand::Given(ticket)) => {
                if let Some(ticket) = ticket.take() {
                    ticket.ack().await;
                }
            }
            (Action::Nak(delay), InHand::Given(ticket)) => {
                if let Some(ticket) = ticket.take() {
                    ticket.nak(*delay).await;
                }
            }
            _ => {}
        }
    }

    fn lane(&self) -> Lane {
        match self.on {
            On::Id => Lane::default(),
            On::Job(job, _) => job.head.lane,
            On::Carrier(lane, _) => lane,
        }
    }

    async fn look(&self, place: Place) -> Result<Option<Message>, BrokerError> {
        let parked = |kind| match self.on {
            On::Carrier(_, Carrier::Due(nonce)) => format!("{kind}.*.*.{}.{nonce}", self.id),
            _ => format!("{kind}.*.*.{}.*", self.id),
        };
        let (stream, filter) = match place {
            Place::Lane => (subject::jobs_stream(self.lane()), subject::jobs_any_tenant(self.lane(), self.id)),
            Place::Delayed => (subject::DELAYED, parked("delayed")),
            Place::Due => (subject::DELAYED, parked("due")),
        };
        let message = self.broker.last(stream, &filter).await?;
        Ok(message.map(|message| Message { seq: message.sequence, stored_at: message.time.into() }))
    }
}

fn hint_subject(hint: Hint, id: JobId) -> String {
    match hint {
        Hint::Done => subject::done(id),
        Hint::Cancelled => subject::cancel(id),
    }
}

/// What a sighted message would be as a carrier. A delayed job's own message bears the job's id for a nonce.
fn waiting(id: JobId, sighting: Sighting) -> Option<Waiting> {
    match sighting {
        Sighting::Queued(job) => {
            let carrier = Carrier::Stream(subject::jobs_stream(job.head.lane).to_owned());
            Some(Waiting { head: Box::new(job.head), carrier })
        }
        Sighting::Delayed(job) => {
            let carrier = Carrier::Due(Nonce::from(id.to_string().as_str()));
            Some(Waiting { head: Box::new(job.head), carrier })
        }
        Sighting::Recorded(_) | Sighting::Absent => None,
    }
}
