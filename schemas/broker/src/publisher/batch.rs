//! Which of the waiting messages go into the next batch.

use std::collections::HashSet;

use super::Waiting;

/// Takes the oldest messages, at most one a subject (two writes to one subject in one batch would see each other's
/// expectations fail), within the limits. Takes at least one.
pub(super) fn take_batch(waiting: &mut Vec<Waiting>, most: usize, most_bytes: usize) -> Vec<Waiting> {
    let mut subjects = HashSet::new();
    let (mut count, mut bytes) = (0, 0);
    let mut fits = |next: &mut Waiting| {
        let size = next.message.size();
        let room = count == 0 || (count < most && bytes + size <= most_bytes);
        if !room || !subjects.insert(next.message.subject.clone()) {
            return false;
        }
        count += 1;
        bytes += size;
        true
    };
    waiting.extract_if(.., |next| fits(next)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Outgoing;
    use async_nats::HeaderMap;
    use tokio::sync::oneshot;

    fn queue(subjects: &[&str]) -> Vec<Waiting> {
        let message = |subject: &&str| Outgoing {
            subject: (*subject).to_owned(),
            headers: HeaderMap::new(),
            payload: vec![0; 1000].into(),
        };
        subjects.iter().map(|s| Waiting { message: message(s), answer: oneshot::channel().0 }).collect()
    }

    fn names(messages: &[Waiting]) -> Vec<&str> {
        messages.iter().map(|waiting| waiting.message.subject.as_str()).collect()
    }

    #[test]
    fn one_write_a_subject() {
        let mut waiting = queue(&["a", "b", "a", "c"]);
        let batch = take_batch(&mut waiting, 10, 1 << 20);
        assert_eq!((names(&batch), names(&waiting)), (vec!["a", "b", "c"], vec!["a"]));
    }

    #[test]
    fn never_over_its_limits_and_never_empty() {
        let mut waiting = queue(&["a", "b", "c"]);
        assert_eq!(names(&take_batch(&mut waiting, 2, 1 << 20)), ["a", "b"]);
        let mut waiting = queue(&["a", "b", "c"]);
        assert_eq!(names(&take_batch(&mut waiting, 9, 2600)), ["a", "b"]);
        assert_eq!(names(&take_batch(&mut waiting, 9, 10)), ["c"]);
    }
}
