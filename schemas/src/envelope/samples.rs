//! Fixed values of what is stored, with every field set. Their bytes are committed, so these may never change: a new
//! field gets a sample of its own.

use std::collections::BTreeMap;

use serde_json::json;

use crate::alert::{AlertEvent, AlertKind, AlertState, Severity};
use crate::chat::{
    Block, ChatRequest, Extra, FinishReason, ImageSource, Message, Reasoning, ResponseFormat, Role, Sampling, Tool,
    ToolCall, ToolChoice, ToolResult, Usage,
};
use crate::delta::{Delta, Frame};
use crate::error::{ErrorCode, Failure};
use crate::id::JobId;
use crate::job::{ContextOptions, ContextStrategy, Job, JobHead, Lane, OnAmbiguous, Payload};
use crate::state::{Attempt, Carrier, ContextReport, JobResult, JobState, Nonce, Outcome, Phase};
use crate::timestamp::Timestamp;
use crate::warning::Warning;

const START: i64 = 1_769_860_800_000;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START + seconds * 1000)
}

pub(super) fn extra(name: &str) -> Extra {
    Extra::from_iter([(name.to_owned(), json!({"float": 0.5, "int": -7, "null": null, "list": [true, "é"]}))])
}

fn head() -> JobHead {
    JobHead {
        tenant: "acme".to_owned(),
        lane: Lane::High,
        model: "gpt-test".to_owned(),
        created_at: at(0),
        not_before: Some(at(60)),
        deadline: Some(at(3600)),
        session: Some("s-1".to_owned()),
        metadata: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        on_ambiguous: OnAmbiguous::Fail,
        stream: true,
        synchronous: true,
        body_hash: "00ff".to_owned(),
        trace_id: "trace-1".to_owned(),
        parent: None,
        provider: None,
        summarizes: None,
    }
}

fn messages() -> Vec<Message> {
    let call = ToolCall { id: "c1".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned(), extra: Extra::new() };
    let result = ToolResult {
        tool_call_id: "c1".to_owned(),
        content: vec![Block::text("42")],
        is_error: true,
        extra: Extra::new(),
    };
    let image = |source| Block::Image { source, detail: Some("low".to_owned()), extra: Extra::new() };
    let said = |role, content| Message { role, content, name: None, extra: Extra::new() };
    vec![
        Message::text(Role::System, "be brief"),
        Message {
            role: Role::User,
            content: vec![
                Block::Text { text: "what is this".to_owned(), extra: extra("openai_chat") },
                image(ImageSource::Url { url: "https://host.test/a.png".to_owned() }),
                image(ImageSource::Base64 { media_type: "image/png".to_owned(), data: "AAAA".to_owned() }),
                Block::Opaque { dialect: "openai_chat".to_owned(), value: json!({"type": "file"}) },
            ],
            name: Some("ann".to_owned()),
            extra: extra("openai_chat"),
        },
        said(
            Role::Assistant,
            vec![
                Block::Reasoning(Reasoning { signature: Some("proof".to_owned()), ..Reasoning::text("hm") }),
                Block::Refusal { text: "no".to_owned() },
                Block::ToolCall(call),
            ],
        ),
        said(Role::Tool, vec![Block::ToolResult(result)]),
    ]
}

/// A job whose request has one of everything.
pub(crate) fn job() -> Job {
    let schema = ResponseFormat::JsonSchema {
        name: "s".to_owned(),
        description: Some("d".to_owned()),
        schema: json!({"type": "object"}),
        strict: Some(true),
    };
    let tool = Tool {
        name: "f".to_owned(),
        description: Some("d".to_owned()),
        parameters: Some(json!({"type": "object"})),
        strict: Some(false),
        extra: extra("openai_chat"),
    };
    let sampling = Sampling {
        temperature: Some(0.25),
        top_p: Some(1.0),
        max_tokens: Some(100),
        stop: vec!["END".to_owned()],
        seed: Some(-1),
        presence_penalty: Some(-2.0),
        frequency_penalty: Some(2.0),
        reasoning_effort: Some("low".to_owned()),
        ..Sampling::default()
    };
    let request = ChatRequest {
        model: "gpt-test".to_owned(),
        messages: messages(),
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        parallel_tool_calls: Some(false),
        sampling,
        response_format: Some(schema),
        stream: true,
        user: None,
        extra: BTreeMap::from([("openai_chat".to_owned(), extra("user"))]),
    };
    Job {
        id: JobId::new(at(0), 7),
        head: head(),
        context: ContextOptions {
            strategy: Some(ContextStrategy::Auto),
            budget: Some(8000),
            ..ContextOptions::default()
        },
        request: Payload::Inline(Box::new(request)),
        warnings: Vec::new(),
        surface: None,
    }
}

/// A job whose request is in the object store.
pub(crate) fn stored_job() -> Job {
    Job { request: Payload::Stored { object: "body-1".to_owned(), bytes: 9_000_000 }, ..job() }
}

/// A replay of [`job`], pinned to a provider.
pub(crate) fn replayed_job() -> Job {
    let parent = job();
    let head = JobHead { parent: Some(parent.id), provider: Some("p".to_owned()), ..head() };
    Job { id: JobId::new(at(9), 8), head, ..stored_job() }
}

/// A record with one of everything.
pub(crate) fn state() -> JobState {
    let usage =
        Usage { input_tokens: 10, output_tokens: 5, cached_tokens: 4, reasoning_tokens: 2, cache_write_tokens: 0 };
    let attempt = |number, outcome| Attempt {
        number,
        nonce: Nonce::new(u128::from(number)),
        provider: "p".to_owned(),
        model: "vendor/gpt".to_owned(),
        started_at: at(61),
        ended_at: Some(at(62)),
        outcome: Some(outcome),
        error: Some(Failure { param: Some("n".to_owned()), ..Failure::new(ErrorCode::InvalidRequest, "why") }),
        usage: Some(usage),
        cost_micros: None,
        hedge: false,
    };
    let result = JobResult {
        provider: Some("p".to_owned()),
        model: Some("gpt-test-2026".to_owned()),
        response_id: Some("r1".to_owned()),
        output: Some(Message::text(Role::Assistant, "hi")),
        stored_output: Some("output-1".to_owned()),
        finish: Some(FinishReason::Length),
        usage: Some(usage),
        error: Some(Failure::new(ErrorCode::ProviderTimeout, "why")),
        context: Some(ContextReport {
            messages_before: 9,
            messages_after: 4,
            tokens_before: 900,
            tokens_after: 400,
            ..ContextReport::default()
        }),
        warnings: vec![Warning { code: "w".to_owned(), param: Some("n".to_owned()), message: "m".to_owned() }],
        dead: true,
        kept: None,
        turn: None,
        summary_turns: None,
        trace: None,
        logprobs: Vec::new(),
        extra: extra("openai_chat"),
        stored_aside: None,
    };
    JobState {
        phase: Phase::Failed,
        nonce: Nonce::new(2),
        holder: "worker-1".to_owned(),
        attempts: vec![attempt(1, Outcome::Ambiguous), attempt(2, Outcome::Failed)],
        carrier: Carrier::Due(Nonce::new(1)),
        until: Some(at(90)),
        reason: Some("rate_limited".to_owned()),
        head: head(),
        started_at: Some(at(61)),
        finished_at: Some(at(63)),
        result: Some(Box::new(result)),
    }
}

/// An alert with one of everything.
pub(crate) fn alert() -> AlertEvent {
    AlertEvent {
        kind: AlertKind::BreakerOpen,
        severity: Severity::Critical,
        state: AlertState::Resolved,
        labels: BTreeMap::from([("provider".to_owned(), "p".to_owned())]),
        summary: "p is back".to_owned(),
        value: Some(5.0),
        threshold: Some(0.1),
        at: at(5),
        source: "worker-1".to_owned(),
    }
}

/// One frame of every kind of delta.
pub(crate) fn frames() -> Vec<Frame> {
    let text = || "é".to_owned();
    let deltas = [
        Delta::Start { id: Some("r1".to_owned()), model: "gpt-test".to_owned() },
        Delta::Text { text: text() },
        Delta::Reasoning { text: text() },
        Delta::ReasoningSignature { signature: "proof".to_owned(), dialect: None, id: None, redacted: false },
        Delta::Refusal { text: text() },
        Delta::ToolCallStart { index: 0, id: "c1".to_owned(), name: "f".to_owned(), extra: Extra::new() },
        Delta::ToolCallArguments { index: 0, text: "{}".to_owned() },
        Delta::Finish { reason: FinishReason::ToolCalls, extra: Extra::new() },
        Delta::Usage {
            usage: Usage {
                input_tokens: 1,
                output_tokens: 2,
                cached_tokens: 3,
                reasoning_tokens: 4,
                cache_write_tokens: 0,
            },
        },
    ];
    (0..).zip(deltas).map(|(index, delta)| Frame { attempt: 1, generation: 0, index, delta }).collect()
}
