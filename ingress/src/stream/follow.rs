//! `GET /v1/jobs/{id}/events`: `status` on every change, `delta` for every token as it is made, and in the end `done`
//! with the whole job. A client that lost its connection names the last delta it had and goes on behind it.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use schemas::delta::{Delta, Frame};
use schemas::timestamp::Timestamp;
use schemas::view::{JobView, Status};
use serde::Serialize;
use tokio::time::timeout;

use super::sse;

/// How long the last deltas may come behind the end of their job.
const STRAGGLERS: Duration = Duration::from_millis(500);

/// What happens to a job.
#[derive(Debug)]
pub(crate) enum Input {
    /// A piece of its answer.
    Frame(Frame),
    /// How it stands.
    View(Box<JobView>),
    /// It has ended so.
    Ended(Box<JobView>, Replay),
}

/// The frames of an ended job's answer as they were sent, cut anew from the record; `None` when the record cannot tell.
pub(crate) type Replay = Option<Vec<Frame>>;

/// Where a client's last delta was: the id of its event, `<attempt>.<index>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    attempt: u32,
    index: u64,
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (attempt, index) = text.split_once('.').ok_or(())?;
        Ok(Self { attempt: attempt.parse().map_err(|_| ())?, index: index.parse().map_err(|_| ())? })
    }
}

/// The events of one job for one client. `streams` says that the job makes deltas.
pub(crate) fn events(
    inputs: BoxStream<'static, Input>,
    streams: bool,
    after: Option<Position>,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let follow = Follow {
        inputs,
        streams,
        seen: after,
        ready: VecDeque::new(),
        shown: None,
        done: None,
        finished: false,
        over: false,
    };
    stream::unfold(follow, |mut follow| async move { follow.next().await.map(|event| (event, follow)) })
}

struct Follow {
    inputs: BoxStream<'static, Input>,
    streams: bool,
    /// The last delta that the client has.
    seen: Option<Position>,
    ready: VecDeque<Bytes>,
    shown: Option<(Status, Option<String>, Option<Timestamp>)>,
    /// The job has ended; its last deltas may still come.
    done: Option<Box<JobView>>,
    /// The last delta there is was seen.
    finished: bool,
    over: bool,
}

impl Follow {
    async fn next(&mut self) -> Option<Bytes> {
        while self.ready.is_empty() && !self.over {
            match self.input().await {
                Some(Input::Frame(frame)) => self.frame(&frame),
                Some(Input::View(view)) => self.status(*view),
                Some(Input::Ended(view, replay)) => self.ended(view, replay),
                None => self.end(),
            }
        }
        self.ready.pop_front()
    }

    /// The next input; `None` when nothing more is to be expected.
    async fn input(&mut self) -> Option<Input> {
        match &self.done {
            None => self.inputs.next().await,
            Some(_) if self.finished || !self.streams => None,
            Some(_) => timeout(STRAGGLERS, self.inputs.next()).await.ok().flatten(),
        }
    }

    fn frame(&mut self, frame: &Frame) {
        // Usage follows the finish where the provider tells it; nothing follows usage.
        let usage_told = self.done.as_ref().is_none_or(|view| view.usage.is_some());
        self.finished = match frame.delta {
            Delta::Usage { .. } => true,
            Delta::Finish { .. } => !usage_told,
            _ => false,
        };
        let position = Position { attempt: frame.attempt, index: frame.index };
        if self.goes_on_in(position) {
            self.delta(frame);
        }
    }

    /// Whether the client has had everything before `position` of its attempt, and not itself. Behind a gap nothing is
    /// told: a client that goes on behind it would never be told of what is missing. The record has it in the end.
    fn goes_on_in(&self, position: Position) -> bool {
        match self.seen {
            Some(seen) if seen.attempt == position.attempt => seen.index.checked_add(1) == Some(position.index),
            Some(seen) if seen.attempt > position.attempt => false,
            _ => position.index == 0,
        }
    }

    fn delta(&mut self, frame: &Frame) {
        self.seen = Some(Position { attempt: frame.attempt, index: frame.index });
        self.push("delta", Some(&format!("{}.{}", frame.attempt, frame.index)), frame);
    }

    /// The record has the whole answer: what the client has not had of it comes from there, and nothing is waited for.
    /// It may be that of an earlier attempt than the last one heard of, whose worker came back with it.
    fn ended(&mut self, view: Box<JobView>, replay: Replay) {
        self.done = Some(view);
        let Some(frames) = replay else { return };
        self.finished = true;
        let seen = self.seen;
        let had = |frame: &Frame| seen.is_some_and(|seen| seen.attempt == frame.attempt && seen.index >= frame.index);
        frames.iter().filter(|frame| !had(frame)).for_each(|frame| self.delta(frame));
    }

    fn status(&mut self, mut view: JobView) {
        let now = (view.status, view.reason.clone(), view.until);
        if self.shown.as_ref() == Some(&now) {
            return;
        }
        view.output = None;
        self.push("status", None, &view);
        self.shown = Some(now);
    }

    /// The end of the stream: with the job, or without it when the service stops; the client then comes back.
    fn end(&mut self) {
        self.over = true;
        if let Some(view) = self.done.take() {
            self.push("done", None, &view);
        }
    }

    fn push(&mut self, name: &str, id: Option<&str>, data: &impl Serialize) {
        match sse::event(name, id, data) {
            Ok(event) => self.ready.push_back(event),
            Err(error) => tracing::error!(error = %error, "event cannot be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::chat::{FinishReason, Usage};
    use schemas::id::JobId;

    use crate::testing;

    fn view(status: Status) -> Input {
        let job = testing::job(JobId::new(Timestamp::from_millis(0), 1));
        let usage = status.is_terminal().then(Usage::default);
        let view = Box::new(JobView { status, usage, ..JobView::queued(&job, false) });
        if status.is_terminal() { Input::Ended(view, None) } else { Input::View(view) }
    }

    fn frame(attempt: u32, index: u64, delta: Delta) -> Input {
        Input::Frame(Frame { attempt, generation: 0, index, delta })
    }

    fn text(attempt: u32, index: u64) -> Input {
        frame(attempt, index, Delta::Text { text: format!("{attempt}.{index}") })
    }

    async fn told(inputs: Vec<Input>, streams: bool, after: Option<&str>) -> Vec<String> {
        let inputs = stream::iter(inputs).chain(stream::pending()).boxed();
        let events = events(inputs, streams, after.map(|text| text.parse().unwrap()));
        let brief = |event: Bytes| {
            let event = String::from_utf8(event.to_vec()).unwrap();
            let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_owned();
            let data: serde_json::Value = serde_json::from_str(&line("data: ")).unwrap();
            format!("{} {}{}", line("event: "), line("id: "), data["status"].as_str().unwrap_or(""))
        };
        events.map(brief).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_told_once_and_the_end_last() {
        use Status::{Completed, Queued, Running};
        let inputs = vec![view(Queued), view(Queued), view(Running), text(1, 0), view(Running), view(Completed)];
        let expected = ["status queued", "status running", "delta 1.0", "done completed"];
        assert_eq!(told(inputs, true, None).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn deltas_behind_the_end_still_come_before_it() {
        let finish = frame(1, 1, Delta::Finish { reason: FinishReason::Stop, extra: schemas::chat::Extra::new() });
        let usage = frame(1, 2, Delta::Usage { usage: Usage::default() });
        let inputs = vec![view(Status::Completed), text(1, 0), finish, usage];
        assert_eq!(told(inputs, true, None).await, ["delta 1.0", "delta 1.1", "delta 1.2", "done completed"]);
        let inputs = vec![view(Status::Completed), text(1, 0)];
        assert_eq!(told(inputs, false, None).await, ["done completed"], "a job without deltas is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missed_comes_from_the_record() {
        let ended = |attempt| {
            let frames = (0..3).map(|index| text(attempt, index)).map(|input| match input {
                Input::Frame(frame) => frame,
                _ => unreachable!(),
            });
            let Input::Ended(view, _) = view(Status::Completed) else { unreachable!() };
            Input::Ended(view, Some(frames.collect()))
        };
        let all = ["delta 1.0", "delta 1.1", "delta 1.2", "done completed"];
        assert_eq!(told(vec![text(1, 0), ended(1)], true, None).await, all);
        assert_eq!(told(vec![ended(1)], true, Some("1.1")).await, all[2..]);
        assert_eq!(told(vec![text(1, 2), ended(1)], true, Some("1.1")).await, all[2..]);
        assert_eq!(told(vec![text(1, 0), text(1, 2), ended(1)], true, None).await, all, "behind a gap nothing is told");
        assert_eq!(told(vec![text(1, 1), text(1, 2), ended(1)], true, None).await, all);
        let earlier = [&["delta 2.0"], &all[..]].concat();
        assert_eq!(told(vec![text(2, 0), ended(1)], true, None).await, earlier, "an earlier attempt's answer counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_goes_on_behind_its_last_delta() {
        let inputs = || vec![text(1, 0), text(1, 1), text(2, 0), view(Status::Failed)];
        assert_eq!(told(inputs(), true, Some("1.0")).await, ["delta 1.1", "delta 2.0", "done failed"]);
        assert_eq!(told(inputs(), true, Some("2.0")).await, ["done failed"]);
        assert!("x.1".parse::<Position>().is_err() && "1".parse::<Position>().is_err());
    }

    #[tokio::test]
    async fn without_an_end_there_is_no_done() {
        let inputs = stream::iter([view(Status::Queued)]).boxed();
        assert_eq!(events(inputs, true, None).count().await, 1);
    }
}
