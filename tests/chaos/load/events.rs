//! Reading a job's events, over as many connections as it takes.

use futures::StreamExt;
use schemas::delta::{Delta, Frame};
use schemas::id::JobId;
use schemas::state::Outcome;
use schemas::view::JobView;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::http::{Doors, event, text};
use super::{PAUSE, Seen};
use crate::history::Event;

/// What a reader has of a job's stream.
#[derive(Debug, Default)]
struct Reader {
    /// The attempt and index of the last delta.
    last: Option<(u32, u64)>,
    text: String,
    /// Deltas were missed: their text proves nothing.
    torn: bool,
    done: Option<Box<JobView>>,
}

/// Follows `id` to its end; what came on the way, the end last.
pub(super) async fn follow(doors: &Doors, mut door: usize, id: JobId, late: &CancellationToken) -> Vec<Event> {
    let (mut reader, mut seen) = (Reader::default(), Vec::new());
    while !late.is_cancelled() {
        let last = reader.last.map(|(attempt, index)| format!("{attempt}.{index}"));
        match doors.events(door, id, last.as_deref()).await {
            Ok(response) => reader.read(response).await,
            Err(what) => seen.push(event(door, what)),
        }
        if let Some(view) = reader.done.take() {
            let told = reader.told(&view);
            seen.push(event(door, Seen::Streamed(view.status, text(&view), told)));
            break;
        }
        door += 1;
        sleep(PAUSE).await;
    }
    seen
}

impl Reader {
    async fn read(&mut self, response: reqwest::Response) {
        let (mut bytes, mut buffer) = (response.bytes_stream(), Vec::new());
        while let Some(Ok(piece)) = bytes.next().await {
            buffer.extend_from_slice(&piece);
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<_> = buffer.drain(..end + 2).collect();
                self.block(&String::from_utf8_lossy(&block));
            }
        }
    }

    /// What was told of the answer: nothing, where the deltas are another attempt's; `None` where some were missed.
    fn told(&self, view: &JobView) -> Option<String> {
        let answering = view.attempts.iter().rfind(|attempt| attempt.outcome == Some(Outcome::Ok))?.number;
        match self.last {
            Some((attempt, _)) if attempt == answering => Some(self.text.clone()).filter(|_| !self.torn),
            _ => Some(String::new()),
        }
    }

    fn block(&mut self, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let data = field("data:").unwrap_or_default();
        match field("event:") {
            Some("delta") => self.delta(serde_json::from_str(data).ok()),
            Some("done") => self.done = serde_json::from_str(data).ok().map(Box::new),
            _ => {}
        }
    }

    /// A higher attempt means that the job runs again from its start: what came before is void.
    fn delta(&mut self, frame: Option<Frame>) {
        let Some(Frame { attempt, index, delta, .. }) = frame else {
            self.torn = true;
            return;
        };
        let again = self.last.is_none_or(|(last, _)| attempt > last);
        if again {
            self.text.clear();
            self.torn = index != 0;
        } else if self.last != index.checked_sub(1).map(|before| (attempt, before)) {
            self.torn = true;
        }
        self.last = Some((attempt, index));
        if let Delta::Text { text } = delta {
            self.text.push_str(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(attempt: u32, index: u64, text: &str) -> String {
        let frame = Frame { attempt, generation: 0, index, delta: Delta::Text { text: text.to_owned() } };
        format!("event: delta\nid: {attempt}.{index}\ndata: {}\n\n", serde_json::to_string(&frame).unwrap())
    }

    #[test]
    fn only_gapless_deltas_of_the_last_attempt_are_text() {
        let mut reader = Reader::default();
        for (attempt, index, text) in [(1, 0, "old "), (1, 1, "words"), (2, 0, "new "), (2, 1, "words")] {
            reader.block(&delta(attempt, index, text));
        }
        assert_eq!((reader.text.as_str(), reader.torn), ("new words", false));
        reader.block(&delta(2, 3, "!"));
        assert!(reader.torn);
    }
}
