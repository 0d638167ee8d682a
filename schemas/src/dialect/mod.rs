//! Wire APIs. Each is a complete codec, pure, in both directions, so that the same file serves a client that speaks it
//! and a provider that does.

pub mod openai_chat;
