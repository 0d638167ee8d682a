//! A call of the chat API, as an SDK makes it: its answer counts only when it came to its proper end.

use futures::StreamExt;
use schemas::id::JobId;
use serde_json::Value;

use super::http::{Doors, event};
use crate::history::{Event, Seen};

/// What a stream has told so far.
#[derive(Debug, Default)]
struct Answer {
    id: Option<JobId>,
    text: String,
    finish: Option<String>,
    done: bool,
}

/// Calls, and tells the job's id where one was named, and the text of an answer that was whole.
pub(super) async fn call(doors: &Doors, door: usize, body: &Value, stream: bool) -> Vec<Event> {
    let response = match doors.chat(door, body).await {
        Ok(response) if response.status() == 200 => response,
        Ok(response) => return vec![event(door, Seen::Refused(response.status().as_u16()))],
        Err(_) => return vec![event(door, Seen::Broken("chat"))],
    };
    let mut answer = Answer::default();
    let mut bytes = response.bytes_stream();
    let mut buffer = Vec::new();
    while let Some(Ok(piece)) = bytes.next().await {
        buffer.extend_from_slice(&piece);
        while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n").filter(|_| stream) {
            let block: Vec<_> = buffer.drain(..end + 2).collect();
            answer.chunk(&String::from_utf8_lossy(&block));
        }
    }
    if !stream {
        answer.whole(&serde_json::from_slice(&buffer).unwrap_or_default());
    }
    answer.events(door)
}

impl Answer {
    fn chunk(&mut self, block: &str) {
        let Some(data) = block.lines().find_map(|line| line.strip_prefix("data:")) else { return };
        if data.trim() == "[DONE]" {
            self.done = true;
            return;
        }
        let chunk: Value = serde_json::from_str(data).unwrap_or_default();
        self.read(&chunk, "delta");
    }

    fn whole(&mut self, body: &Value) {
        self.read(body, "message");
        self.done = true;
    }

    fn read(&mut self, body: &Value, message: &str) {
        let choice = &body["choices"][0];
        self.id = self.id.or_else(|| body["id"].as_str()?.parse().ok());
        self.text.push_str(choice[message]["content"].as_str().unwrap_or_default());
        self.finish = choice["finish_reason"].as_str().map(str::to_owned).or(self.finish.take());
    }

    fn events(self, door: usize) -> Vec<Event> {
        let accepted = self.id.map(|id| event(door, Seen::Accepted(id)));
        let whole = self.done && self.finish.as_deref() == Some("stop");
        let said = if whole { Seen::Chatted(self.text) } else { Seen::Broken("half a chat") };
        accepted.into_iter().chain([event(door, said)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_only_with_its_end() {
        let id = "chatcmpl-01M7W054AFVW3TNGTN0KWS98C4";
        let said = |blocks: &[&str]| {
            let mut answer = Answer::default();
            blocks.iter().for_each(|block| answer.chunk(&block.replace("ID", id)));
            answer.events(0).into_iter().map(|event| event.what).collect::<Vec<_>>()
        };
        let text = r#"data: {"id":"ID","choices":[{"delta":{"content":"hi"},"finish_reason":null}]}"#;
        let finish = r#"data: {"id":"ID","choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        let accepted = Seen::Accepted(id.parse().unwrap());
        let chatted = Seen::Chatted("hi".to_owned());
        assert_eq!(said(&[text, finish, "data: [DONE]"]), [accepted.clone(), chatted]);
        for cut in [&[text, finish][..], &[text, "data: [DONE]"], &[text]] {
            assert_eq!(said(cut), [accepted.clone(), Seen::Broken("half a chat")]);
        }
    }
}
