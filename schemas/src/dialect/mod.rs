//! Wire APIs. Each is a complete codec, pure, in both directions, so that the same file serves a client that speaks it
//! and a provider that does. What the neutral form does not model is carried in `extra`, always under the dialect's
//! name (`extra["openai_chat"]["logprobs"]`), so that it never reaches a provider that speaks another dialect.

pub mod anthropic;
mod bounds;
mod carry;
pub mod classify;
pub mod fields;
pub mod openai_chat;
pub mod openai_responses;
pub mod proof;
mod read;
mod refusal;
pub mod scrub;
pub mod sse;
mod stream;
mod tool_choice;
mod whole;
pub mod wire;

#[cfg(test)]
mod tests;
