//! What whoever receives has the desk do in Telegram, where every call keeps one pace; and what the desk lets them know.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::rich::Rich;

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chat: String,
    pub(crate) topic: Option<i32>,
    /// The message that is answered.
    pub(crate) reply_to: Option<i32>,
}

/// Something to do in Telegram.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Tell this.
    Say {
        place: Place,
        texts: Vec<Rich>,
        /// Hears whether it will be told: not when too much waits already.
        taken: oneshot::Sender<bool>,
    },
    /// Telegram said to come back later: it means all of us.
    Hold(Duration),
}

/// What the desk lets its receiver know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The chats that are ours, wherever they moved.
    pub(crate) chats: BTreeSet<String>,
    /// Until when Telegram wants no calls.
    pub(crate) held_until: Option<Instant>,
}

impl Known {
    /// Until when no call may be made, if none may be now.
    pub(crate) fn held(&self) -> Option<Instant> {
        self.held_until.filter(|until| *until > Instant::now())
    }
}

/// Waits until calls may be made, however often that is put off, but for `most` in all. Tells whether they may: if it is
/// known that they may not by then, at once.
pub(crate) async fn unheld(known: &watch::Receiver<Known>, most: Duration) -> bool {
    let patience = Instant::now() + most;
    loop {
        let Some(until) = known.borrow().held() else { return true };
        if until > patience {
            return false;
        }
        sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn held(time: Duration) -> Known {
        Known { held_until: Some(Instant::now() + time), ..Known::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_for_longer_than_anybody_waits_is_given_up_at_once() {
        let (_desk, known) = watch::channel(held(2 * MINUTE));
        let began = Instant::now();
        assert!(!unheld(&known, MINUTE).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_put_off_goes_on() {
        let (desk, known) = watch::channel(held(MINUTE / 4));
        let began = Instant::now();
        let put_off = async {
            tokio::time::sleep(MINUTE / 5).await;
            desk.send_replace(held(MINUTE / 2));
        };
        let (may_call, ()) = tokio::join!(unheld(&known, MINUTE), put_off);
        assert!(may_call);
        assert!(began.elapsed() >= MINUTE / 5 + MINUTE / 2);
    }
}
