//! Carries out what changes the book: each incident by an operation of its own, all at once, and one answer for all.

use std::time::Duration;

use runtime::clock;
use schemas::matcher::{Matcher, Operator};
use tokio::time::timeout;

use super::done::Done;
use super::visit::Actor;
use crate::button::{Act, Target};
use crate::incidents::{Book, Episode, Incident, Operation, Silence};
use crate::order::{OrderError, Orders, Outcomes};
use crate::text::title;

/// How long an order may take until it is kept.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// Most incidents that one press silences: their fingerprints must fit into one matcher.
const MAX_SILENCED: usize = 25;

/// The fingerprints of what a press is about. What changes an alert is pressed where it is told now: an older message
/// speaks of what was.
pub(super) async fn keys(orders: &Orders, act: Act, target: Target, actor: &Actor) -> Vec<String> {
    match target {
        Target::One(key) => vec![key],
        Target::All => {
            let (chat, message) = (actor.chat.clone(), actor.message);
            let told_in = if act == Act::Details { ever_told_in } else { now_told_in };
            look(orders, move |book| told_in(book, &chat, message)).await.unwrap_or_default()
        }
    }
}

/// What an operator's press does to these incidents.
pub(super) async fn act(orders: &Orders, act: Act, keys: Vec<String>, actor: &Actor) -> Done {
    if let Some(time) = act.silence() {
        return silence_these(orders, keys, time, actor).await;
    }
    let operation = |key| match act {
        Act::Acknowledge => Operation::Acknowledge { key },
        Act::Unacknowledge => Operation::Unacknowledge { key },
        _ => Operation::Resolve { key },
    };
    let operations = keys.iter().cloned().map(operation).collect();
    match timeout(PATIENCE, orders.operate_all(operations, &actor.name)).await {
        Ok(Ok(outcomes)) => told(act.past(), outcomes, keys),
        Ok(Err(_)) | Err(_) => Done::unknown(keys),
    }
}

/// How many were done, or why none was.
fn told(what: &str, outcomes: Outcomes, keys: Vec<String>) -> Done {
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.into_iter().find_map(Result::err);
    match (done, refused) {
        (0, None) => Done::refused("Nobody knows this alert any more.", keys),
        (0, Some(why)) => Done::refused(sentence(&why.to_string()), keys),
        (_, None) if keys.len() == 1 => Done::well(format!("{what}."), keys),
        (done, _) => Done::well(format!("{what}: {done} of {}.", keys.len()), keys),
    }
}

async fn silence_these(orders: &Orders, keys: Vec<String>, time: Duration, actor: &Actor) -> Done {
    if keys.is_empty() || keys.len() > MAX_SILENCED {
        let words = format!("One press silences 1 to {MAX_SILENCED} alerts: use /silence.");
        return Done::refused(words, keys);
    }
    let matcher = match keys.as_slice() {
        [only] => Matcher::equal("fingerprint", only),
        several => Matcher::new("fingerprint", Operator::Match, &several.join("|")),
    };
    let Ok(matcher) = matcher else { return Done::refused("This button means nothing any more.", keys) };
    let first = keys.first().cloned().unwrap_or_default();
    let name = look(orders, move |book| book.incidents.get(&first).map(title)).await.flatten().unwrap_or_default();
    let comment = if keys.len() > 1 { format!("{name} and {} more", keys.len() - 1) } else { name };
    let done = silence(orders, time, vec![matcher], comment, actor).await;
    Done { about: keys, ..done }
}

/// Keeps what matches quiet for a while.
pub(super) async fn silence(
    orders: &Orders,
    time: Duration,
    matchers: Vec<Matcher>,
    comment: String,
    actor: &Actor,
) -> Done {
    let (now, id) = (clock::now(), actor.deed.clone());
    let until = now.after(time);
    let silence = Silence { id: id.clone(), matchers, starts: now, until, by: actor.name.clone(), comment };
    let words = format!("Silenced until {}; /unsilence {id} ends it.", crate::text::moment(until));
    one(operate(orders, Operation::Silence(silence), actor).await, words, id)
}

/// Ends a silence.
pub(super) async fn unsilence(orders: &Orders, id: String, actor: &Actor) -> Done {
    one(operate(orders, Operation::Unsilence { id: id.clone() }, actor).await, "The silence is over.".to_owned(), id)
}

fn one(outcome: Result<(), Option<String>>, words: String, about: String) -> Done {
    let about = vec![about];
    match outcome {
        Ok(()) => Done::well(words, about),
        Err(Some(why)) => Done::refused(sentence(&why), about),
        Err(None) => Done::unknown(about),
    }
}

/// Done, refused and why, or nobody knows.
async fn operate(orders: &Orders, operation: Operation, actor: &Actor) -> Result<(), Option<String>> {
    match timeout(PATIENCE, orders.operate(operation, &actor.name)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(OrderError::Refused(refused))) => Err(Some(refused.to_string())),
        Ok(Err(OrderError::Gone)) | Err(_) => Err(None),
    }
}

/// What `look` makes of the book; nothing when the desk does not answer.
pub(super) async fn look<T: Send + 'static>(
    orders: &Orders,
    look: impl FnOnce(&Book) -> T + Send + 'static,
) -> Option<T> {
    timeout(PATIENCE, orders.look(look)).await.ok()?.ok()
}

/// The alerts of which a message tells or told.
fn ever_told_in(book: &Book, chat: &str, message: i32) -> Vec<String> {
    those(book, |incident| incident.episodes.iter().any(|episode| stands_in(episode, chat, message)))
}

/// The alerts that a message tells as they are now.
fn now_told_in(book: &Book, chat: &str, message: i32) -> Vec<String> {
    those(book, |incident| incident.live().is_some_and(|episode| stands_in(episode, chat, message)))
}

fn those(book: &Book, are: impl Fn(&Incident) -> bool) -> Vec<String> {
    book.incidents.iter().filter(|(_, incident)| are(incident)).map(|(key, _)| key.clone()).collect()
}

fn stands_in(episode: &Episode, chat: &str, message: i32) -> bool {
    episode.posted.as_ref().is_some_and(|posted| posted.chat == chat && posted.message == message)
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::alert::{AlertEvent, AlertKind, Severity};

    use super::*;
    use crate::fixture::{self, NOON, firing};
    use crate::incidents::{Posted, Refused};
    use crate::operator::done::Outcome;
    use crate::order::Order;

    #[test]
    fn an_old_message_shows_what_it_told_and_changes_nothing() {
        let mut book = Book::new(fixture::policy(), BTreeMap::new());
        let event = firing(AlertKind::Disk, "a");
        book.fold(1, &event, NOON);
        for (number, message) in [(0, 7), (1, 8)] {
            let posted = Posted { chat: "-1".to_owned(), message, topic: None, at: NOON };
            let incident = book.incidents.get_mut(&event.fingerprint()).unwrap();
            incident.episode_mut(number).unwrap().posted = Some(posted);
            book.fold(2, &AlertEvent { severity: Severity::Critical, ..event.clone() }, NOON);
        }
        assert_eq!((ever_told_in(&book, "-1", 7).len(), ever_told_in(&book, "-1", 8).len()), (1, 1));
        assert_eq!((now_told_in(&book, "-1", 7).len(), now_told_in(&book, "-1", 8).len()), (0, 1));
        assert_eq!(now_told_in(&book, "-2", 8).len(), 0);
    }

    #[test]
    fn one_answer_tells_of_all() {
        let keys = |count: usize| vec!["k".to_owned(); count];
        let words = |outcomes: Outcomes| {
            let count = outcomes.len();
            told("Acknowledged", outcomes, keys(count)).words
        };
        let over = || Err(Refused::NotFiring);
        assert_eq!(words(vec![Ok(())]), "Acknowledged.");
        assert_eq!(words(vec![Ok(()), over(), Ok(())]), "Acknowledged: 2 of 3.");
        assert_eq!(words(vec![over()]), "The alert is over already.");
        assert_eq!(words(Vec::new()), "Nobody knows this alert any more.");
    }

    #[tokio::test]
    async fn a_press_on_many_is_one_order() {
        let (orders, mut inbox) = Orders::new();
        let keys: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let actor = Actor { name: "ann".into(), chat: "-1".into(), message: 7, deed: "s1".into() };
        let desk = async {
            let Some(Order::Operate { operations, answer, .. }) = inbox.recv().await else { panic!("no order") };
            answer.send(operations.iter().map(|_| Ok(())).collect()).unwrap();
            drop(inbox);
        };
        let (done, ()) = tokio::join!(act(&orders, Act::Acknowledge, keys.clone(), &actor), desk);
        assert_eq!((done.outcome, done.words.as_str()), (Outcome::Done, "Acknowledged: 1000 of 1000."));
        assert_eq!(act(&orders, Act::Resolve, keys, &actor).await.outcome, Outcome::Unknown);
    }
}
