//! What becomes of every field of every wire API, as data: one table a dialect, from which `schemas/dialects.md` is made
//! and which tests hold against the code.

use strum::{Display, IntoStaticStr};

use super::{anthropic, openai_chat, openai_responses};

/// One field of a wire API, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Where it is, `[]` standing for any element: `messages[].name` in a request, `response.id` in a whole answer,
    /// `stream.choices[].delta` in an event; `neutral.sampling.top_k` is one of the neutral form that a provider of the
    /// dialect cannot be told as it is.
    pub path: &'static str,
    /// What becomes of it.
    pub treatment: Treatment,
    /// What else there is to know, empty when that is all.
    pub note: &'static str,
}

impl Field {
    /// One row of a table.
    #[must_use]
    pub const fn new(path: &'static str, treatment: Treatment, note: &'static str) -> Self {
        Self { path, treatment, note }
    }
}

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Treatment {
    /// The neutral form has it: any dialect that can say it is told.
    Mapped,
    /// Kept as it came: the same dialect is told, another one is not, and of a request's field a warning says so.
    Carried,
    /// Not taken over, or not as it is; a warning of the result says so.
    Warned,
    /// The request is answered with 400.
    Refused,
}

/// The table of one dialect.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The dialect's name.
    pub dialect: &'static str,
    /// What a provider's base URL is followed by.
    pub path: &'static str,
    /// Every field.
    pub fields: &'static [Field],
}

/// Every dialect's table.
pub const TABLES: &[Table] = &[
    Table { dialect: openai_chat::NAME, path: openai_chat::PATH, fields: openai_chat::FIELDS },
    Table { dialect: openai_responses::NAME, path: openai_responses::PATH, fields: openai_responses::FIELDS },
    Table { dialect: anthropic::NAME, path: anthropic::PATH, fields: anthropic::FIELDS },
];
