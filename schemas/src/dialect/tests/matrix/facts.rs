//! What a request or an answer says, as facts that do not depend on the form it is said in.

use serde_json::Value;

use crate::chat::{
    Block, ChatRequest, ChatResponse, DocumentSource, ImageSource, Message, ResponseFormat, Role, Tool, Usage,
};
use crate::delta::annotations;
use crate::dialect::proof;
use crate::warning::Warning;

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// Of what kind.
    pub(super) kind: &'static str,
    /// What exactly.
    pub(super) what: String,
}

fn fact(kind: &'static str, what: impl ToString) -> Fact {
    Fact { kind, what: what.to_string() }
}

/// The facts of `before` that `after` does not tell. A text may have become part of a longer one.
pub(super) fn lost(before: &[Fact], after: &[Fact]) -> Vec<Fact> {
    let told = |fact: &Fact, other: &Fact| other.kind == fact.kind && other.what.contains(&fact.what);
    before.iter().filter(|fact| !after.iter().any(|other| told(fact, other))).cloned().collect()
}

/// Whether a warning tells that a fact of this kind is not sent.
pub(super) fn explained(fact: &Fact, warnings: &[Warning]) -> bool {
    let words: &[&str] = match fact.kind {
        "proof" | "reasoning" | "effort" | "budget" => &["signature", "reasoning", "thinking", "proof", "effort"],
        "result_error" => &["failed", "error"],
        "title" | "document" => &["document", "title", "file"],
        "system" => &["system", "developer"],
        "logprobs" => &["logprobs", "probabilit"],
        "format" => &["response_format", "format", "schema"],
        "choice" => &["tool_choice"],
        kind => &[kind],
    };
    let says = |warning: &Warning, word: &str| {
        warning.message.to_lowercase().contains(word)
            || warning.param.as_ref().is_some_and(|param| param.contains(word))
    };
    warnings.iter().any(|warning| words.iter().any(|word| says(warning, word)))
}

/// The facts of a request.
pub(super) fn of_request(request: &ChatRequest) -> Vec<Fact> {
    let mut facts: Vec<_> = request.messages.iter().flat_map(of_message).collect();
    facts.extend(request.tools.iter().flat_map(of_tool));
    facts.extend(request.tool_choice.iter().map(|choice| fact("choice", format!("{choice:?}"))));
    facts.extend(request.parallel_tool_calls.map(|parallel| fact("parallel", parallel)));
    if let Some(ResponseFormat::JsonSchema { schema, .. }) = &request.response_format {
        facts.push(fact("format", schema));
    }
    let sampling = &request.sampling;
    let numbers = [
        ("temperature", sampling.temperature.map(|number| number.to_string())),
        ("top_p", sampling.top_p.map(|number| number.to_string())),
        ("max_tokens", sampling.max_tokens.map(|number| number.to_string())),
        ("seed", sampling.seed.map(|number| number.to_string())),
        ("top_k", sampling.top_k.map(|number| number.to_string())),
        ("budget", sampling.reasoning_budget.map(|number| number.to_string())),
        ("effort", sampling.reasoning_effort.clone()),
        ("logprobs", sampling.logprobs.map(|wanted| wanted.to_string())),
        ("user", request.user.clone()),
    ];
    facts.extend(numbers.into_iter().filter_map(|(kind, number)| number.map(|number| fact(kind, number))));
    facts.extend(sampling.stop.iter().map(|stop| fact("stop", stop)));
    facts.push(fact("stream", request.stream));
    facts
}

fn of_tool(tool: &Tool) -> Vec<Fact> {
    let whole = format!("{} {:?} {:?}", tool.name, tool.description, tool.parameters);
    let strict = tool.strict.filter(|strict| *strict).map(|_| fact("strict", &tool.name));
    std::iter::once(fact("tool", whole)).chain(strict).collect()
}

fn of_message(message: &Message) -> Vec<Fact> {
    let kind = match message.role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    };
    message.content.iter().flat_map(|block| of_block(kind, block)).collect()
}

fn of_block(kind: &'static str, block: &Block) -> Vec<Fact> {
    match block {
        Block::Text { text, extra } => {
            let cited = annotations(extra).filter_map(|delta| match delta {
                crate::delta::Delta::Annotation { value, .. } => address(&value).map(|url| fact("citation", url)),
                _ => None,
            });
            std::iter::once(fact(kind, text)).chain(cited).collect()
        }
        Block::Image { source: ImageSource::Url { url }, .. } => vec![fact("image", url)],
        Block::Image { source: ImageSource::Base64 { media_type, data }, .. } => {
            vec![fact("image", format!("{media_type} {data}"))]
        }
        Block::Document { source: DocumentSource::Text { text }, .. } => vec![fact("user", text)],
        Block::Document { source, title, .. } => {
            let title = title.iter().map(|title| fact("title", title));
            std::iter::once(fact("document", format!("{source:?}"))).chain(title).collect()
        }
        Block::ToolCall(call) => {
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            vec![fact("call", format!("{} {} {arguments}", call.id, call.name))]
        }
        Block::ToolResult(result) => {
            let inner = result.content.iter().flat_map(|block| match block {
                Block::Text { text, .. } => vec![fact("result", format!("{} {text}", result.tool_call_id))],
                other => of_block("user", other),
            });
            let error = result.is_error.then(|| fact("result_error", &result.tool_call_id));
            inner.chain(error).collect()
        }
        Block::Reasoning(reasoning) => {
            // A client of another dialect than the provider's is told it wrapped.
            let proof = reasoning.signature.clone().and_then(|slot| proof::unwrap(slot, "").signature);
            let proof = proof.map(|proof| fact("proof", proof));
            let text = Some(&reasoning.text).filter(|text| !text.is_empty()).map(|text| fact("reasoning", text));
            text.into_iter().chain(proof).collect()
        }
        Block::Refusal { text } => vec![fact("refusal", text)],
        Block::Opaque { value, .. } => vec![fact("opaque", value)],
    }
}

/// The web page that a citation names.
fn address(citation: &Value) -> Option<&str> {
    citation.get("url").or_else(|| citation.get("url_citation")?.get("url"))?.as_str()
}

/// The facts of an answer.
pub(super) fn of_answer(answer: &ChatResponse) -> Vec<Fact> {
    let mut facts = of_message(&answer.message);
    // A refusal in words is a reason to stop of its own where there is no other place to say so.
    let refuses = answer.message.content.iter().any(|block| matches!(block, Block::Refusal { .. }));
    facts.push(fact(if refuses { "refusal" } else { "finish" }, format!("{:?}", answer.finish)));
    facts.extend(answer.logprobs.iter().map(|token| fact("logprobs", &token["token"])));
    facts.extend(answer.usage.iter().flat_map(of_usage));
    facts
}

fn of_usage(usage: &Usage) -> Vec<Fact> {
    let Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens } = usage;
    vec![
        fact("input_tokens", input_tokens),
        fact("output_tokens", output_tokens),
        fact("cached_tokens", cached_tokens),
        fact("reasoning_tokens", reasoning_tokens),
        fact("cache_write_tokens", cache_write_tokens),
    ]
}
