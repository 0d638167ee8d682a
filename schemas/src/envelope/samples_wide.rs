//! Fixed values with what the neutral form got for Anthropic's and OpenAI's newer APIs, each with every such field set.
//! Like those of `samples`, they may never change.

use serde_json::json;

use super::samples::{at, extra, job as plain_job, state as plain_state};
use crate::chat::{
    Block, ChatRequest, DocumentSource, Extra, FinishReason, ImageSource, Message, Reasoning, Role, Sampling, Tool,
    ToolCall, ToolResult, Usage,
};
use crate::context::{ClearOptions, ClearToolResults, ContextOptions, ContextStrategy};
use crate::delta::{Delta, Frame};
use crate::job::{Job, Payload};
use crate::state::{ContextReport, JobResult, JobState};

fn said(role: Role, content: Vec<Block>) -> Message {
    Message { role, content, name: None, extra: Extra::new() }
}

fn thought() -> Reasoning {
    Reasoning {
        text: "hm".to_owned(),
        signature: Some("proof".to_owned()),
        dialect: Some("anthropic".to_owned()),
        id: Some("rs_1".to_owned()),
        redacted: true,
        extra: extra("anthropic"),
    }
}

fn call() -> ToolCall {
    let (id, name, arguments) = ("c1".to_owned(), "f".to_owned(), "{}".to_owned());
    ToolCall { id, name, arguments, extra: extra("openai_chat") }
}

fn messages() -> Vec<Message> {
    let document = |source| Block::Document { source, title: Some("t".to_owned()), extra: extra("anthropic") };
    let base64 = DocumentSource::Base64 { media_type: "application/pdf".to_owned(), data: "AAAA".to_owned() };
    let source = ImageSource::Url { url: "https://host.test/a.png".to_owned() };
    let result = ToolResult {
        tool_call_id: "c1".to_owned(),
        content: vec![Block::text("42")],
        is_error: false,
        extra: extra("anthropic"),
    };
    let asked = vec![
        document(DocumentSource::Url { url: "https://host.test/a.pdf".to_owned() }),
        document(base64),
        document(DocumentSource::Text { text: "plain".to_owned() }),
        Block::Image { source, detail: None, extra: extra("openai_chat") },
    ];
    vec![
        said(Role::User, asked),
        said(Role::Assistant, vec![Block::Reasoning(thought()), Block::ToolCall(call())]),
        said(Role::Tool, vec![Block::ToolResult(result)]),
    ]
}

/// A job whose request has one of everything new.
pub(super) fn job() -> Job {
    let sampling = Sampling {
        reasoning_budget: Some(2048),
        top_k: Some(40),
        logprobs: Some(true),
        top_logprobs: Some(2),
        ..Sampling::default()
    };
    let request = ChatRequest {
        model: "claude-test".to_owned(),
        messages: messages(),
        tools: vec![Tool { name: "f".to_owned(), ..Tool::default() }],
        sampling,
        user: Some("user-1".to_owned()),
        ..ChatRequest::default()
    };
    Job { request: Payload::Inline(Box::new(request)), ..plain_job() }
}

/// A record whose result has one of everything new.
pub(super) fn state() -> JobState {
    let usage = Usage { input_tokens: 10, output_tokens: 5, cache_write_tokens: 3, ..Usage::default() };
    let result = JobResult {
        output: Some(said(Role::Assistant, vec![Block::Reasoning(thought()), Block::text("hi")])),
        usage: Some(usage),
        logprobs: vec![json!({"token": "hi", "logprob": -0.5})],
        ..JobResult::default()
    };
    JobState { finished_at: Some(at(64)), result: Some(Box::new(result)), ..plain_state() }
}

/// One frame of every kind of delta that is new, or has something new.
pub(super) fn frames() -> Vec<Frame> {
    let dialect = || "anthropic".to_owned();
    let deltas = [
        Delta::ReasoningSignature {
            signature: "proof".to_owned(),
            dialect: Some(dialect()),
            id: Some("rs_1".to_owned()),
            redacted: true,
        },
        Delta::Break,
        Delta::Logprobs { tokens: vec![json!({"token": "hi", "logprob": -0.5})] },
        Delta::Annotation { dialect: dialect(), value: json!({"url": "https://host.test"}) },
        Delta::Opaque { dialect: dialect(), value: json!({"type": "search"}) },
        Delta::ToolCallStart { index: 0, id: "c1".to_owned(), name: "f".to_owned(), extra: extra("openai_chat") },
        Delta::Finish { reason: FinishReason::Stop, extra: extra("openai_chat") },
        Delta::Usage { usage: Usage { input_tokens: 1, cache_write_tokens: 5, ..Usage::default() } },
    ];
    (0..).zip(deltas).map(|(index, delta)| Frame { attempt: 2, generation: 0, index, delta }).collect()
}

/// A job with every option of pruning.
pub(super) fn pruned_job() -> Job {
    let clear = ClearOptions {
        keep: Some(3),
        exclude_tools: Some(vec!["memory".to_owned()]),
        clear_inputs: Some(true),
        at_least: Some(500),
        trigger: Some(30_000),
    };
    let context = ContextOptions {
        strategy: Some(ContextStrategy::Disabled),
        budget: Some(8000),
        keep_recent: Some(6),
        clear_tool_results: Some(ClearToolResults::With(clear)),
        summarize: Some(false),
        low_water: Some(0.75),
    };
    Job { context, request: Payload::Inline(Box::default()), ..plain_job() }
}

/// A record whose report has every field.
pub(super) fn pruned_state() -> JobState {
    let context = ContextReport {
        messages_before: 9,
        messages_after: 4,
        tokens_before: 900,
        tokens_after: 400,
        tool_results_cleared: 2,
        tokens_cleared: 70,
        summary_used: true,
        prefix_stable: true,
    };
    JobState { result: Some(Box::new(JobResult { context: Some(context), ..JobResult::default() })), ..plain_state() }
}
