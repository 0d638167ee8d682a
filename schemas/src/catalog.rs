//! Providers and models as data: who serves which model name, in what order, with what limits and prices.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chat::Usage;
use crate::context::ContextOptions;
use crate::strategy::Strategy;
use secrecy::SecretString;
use serde::Deserialize;
use strum::{Display, EnumString, IntoStaticStr};

/// A providers file: `[[provider]]` tables.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// In the order of the file; `priority` decides first.
    #[serde(default, rename = "provider")]
    pub providers: Vec<Provider>,
}

/// The wire API that a provider speaks, or the built-in echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ProviderDialect {
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Answers from the prompt, needs no network.
    Echo,
}

/// One provider. Its `Debug` leaves out headers and query: a key may stand there.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name in results, metrics and alerts.
    pub name: String,
    /// The wire API it speaks.
    pub dialect: ProviderDialect,
    /// For example `https://api.openai.com/v1`; the dialect adds its path. Unused by echo.
    #[serde(default)]
    pub base_url: String,
    /// What is added to `base_url` instead of the dialect's path; `{model}` in it is the model's name at the provider.
    #[serde(default)]
    pub path: Option<String>,
    /// The key, in the file itself. Prefer `credential_env`.
    #[serde(default)]
    pub credential: Option<SecretString>,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub credential_env: Option<String>,
    /// The header that carries the key: `authorization` sends `Bearer <key>`, any other the bare key (Azure: `api-key`).
    /// When absent, `x-api-key` for Anthropic's dialect and `authorization` for the others.
    #[serde(default)]
    pub credential_header: Option<String>,
    /// The version of its API: a header of Anthropic's dialect, `2023-06-01` when absent, and the query parameter
    /// `api-version` of OpenAI's, as Azure has it.
    #[serde(default)]
    pub api_version: Option<String>,
    /// More headers, sent as they are.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// More query parameters, sent as they are.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Lower is tried first.
    #[serde(default = "hundred")]
    pub priority: u32,
    /// Most requests at once, over one worker; 0 is no limit.
    #[serde(default)]
    pub max_concurrency: u32,
    /// Most requests a minute: over the fleet with Redis, else over one worker; 0 is no limit.
    #[serde(default)]
    pub requests_per_minute: u32,
    /// The models it serves.
    #[serde(default, rename = "model")]
    pub models: Vec<Model>,
    /// Its model for each tier, for clients that name another vendor's.
    #[serde(default)]
    pub tiers: BTreeMap<Tier, String>,
    /// What it does differently from its dialect.
    #[serde(default)]
    pub quirks: Quirks,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, dialect, base_url, models, .. } = self;
        f.debug_struct("Provider")
            .field("name", name)
            .field("dialect", dialect)
            .field("base_url", base_url)
            .field("models", models)
            .finish_non_exhaustive()
    }
}

/// One model of a provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name that clients use. `*` at the end matches any rest.
    pub name: String,
    /// Its name at the provider; as the client wrote it when absent.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Tokens that fit, input and answer together.
    #[serde(default = "default_window")]
    pub context_window: u32,
    /// Most tokens of an answer: no request is sent with a higher limit.
    #[serde(default)]
    pub max_output: Option<u32>,
    /// tiktoken encoding for counts: `o200k_base` or `cl100k_base`; chosen by name when absent.
    #[serde(default)]
    pub encoding: Option<String>,
    /// How conversations that are too long for it are pruned, where a request does not say.
    #[serde(default)]
    pub context: ContextOptions,
    /// US dollars for a million input tokens.
    #[serde(default)]
    pub input_price: f64,
    /// US dollars for a million output tokens.
    #[serde(default)]
    pub output_price: f64,
    /// How the providers of this model are put in order; `priority` when no entry of the model names one.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// Under `weighted`, how often this provider is asked first, against the others' weights; 1 when absent, and one of 0
    /// comes last.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Under `race`, how long a provider may be silent before the next is asked beside it.
    #[serde(default, with = "humantime_serde")]
    pub hedge_after: Option<Duration>,
}

/// A size class of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Tier {
    /// `*opus*`
    Big,
    /// `*sonnet*`
    Medium,
    /// `*haiku*`
    Small,
}

impl Tier {
    /// The tier that a model name speaks of.
    #[must_use]
    pub fn of_model(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        [("opus", Self::Big), ("sonnet", Self::Medium), ("haiku", Self::Small)]
            .into_iter()
            .find_map(|(word, tier)| name.contains(word).then_some(tier))
    }
}

/// Names the version of the API in a header.
pub const ANTHROPIC_VERSION: &str = "anthropic-version";

/// Names it in the query.
pub const API_VERSION: &str = "api-version";

/// Tokens reserved for an answer where nobody says how long it may be.
const DEFAULT_OUTPUT: u32 = 4096;

/// What stands for the model's name in a [`Provider::path`].
pub const MODEL_IN_PATH: &str = "{model}";

/// Departures from the dialect, each by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// It knows `max_tokens`, not `max_completion_tokens`.
    pub legacy_max_tokens: bool,
    /// It refuses `stream_options`.
    pub no_stream_options: bool,
    /// Anthropic: it has no word for reasoning effort, and is sent a budget of tokens instead (models before 4.6).
    pub thinking_budget: bool,
    /// Anthropic: it refuses temperature, `top_p` and `top_k` (models after 4.6).
    pub no_sampling: bool,
    /// It has no `developer` role: say `system`.
    pub no_developer_role: bool,
    /// It reads `reasoning_content` of earlier assistant messages; others refuse the field.
    pub reasoning_content: bool,
    /// A Responses API that refuses `store`.
    pub no_store: bool,
    /// A Responses API that refuses to include `reasoning.encrypted_content`.
    pub no_encrypted_reasoning: bool,
    /// It honours `Idempotency-Key`.
    pub idempotency_key: bool,
    /// It reads `cache_control` marks in chat completions, as OpenRouter and Alibaba do; others refuse the field.
    pub cache_control: bool,
    /// It takes images and files within the result of a tool in chat completions; to others they are sent in a user's
    /// message behind it.
    pub rich_tool_results: bool,
    /// It fetches documents by their address in chat completions, in `file_data`, as OpenRouter does.
    pub document_urls: bool,
    /// It has `top_k` in chat completions, as vLLM does.
    pub top_k: bool,
    /// OpenAI's APIs: its models take no effort of reasoning, as those before o1.
    pub no_reasoning_effort: bool,
    /// Anthropic: `max_tokens`, which its API demands, of a request that names no limit; the model's `max_output` when
    /// unset, else 4096.
    pub default_max_tokens: Option<u32>,
    /// The `max_output` of the model that is called, where it has one: for whoever encodes, never of a file.
    #[serde(skip)]
    pub max_output: Option<u32>,
}

/// One way to serve a model: which provider, under which name there.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Who serves it.
    pub provider: &'a Provider,
    /// The model's data.
    pub model: &'a Model,
    /// Its name at the provider.
    pub upstream: String,
}

impl Catalog {
    /// Everyone who serves `name`, best first: by priority, then in file order. Empty means an unknown model.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Vec<Candidate<'_>> {
        let mut found: Vec<_> = self.providers.iter().filter_map(|provider| provider.candidate(name)).collect();
        found.sort_by_key(|candidate| candidate.provider.priority);
        found
    }

    /// Those of [`Self::candidates`] that a job may ask which is pinned to the provider `pin`, if it is.
    #[must_use]
    pub fn candidates_of(&self, name: &str, pin: Option<&str>) -> Vec<Candidate<'_>> {
        let mut found = self.candidates(name);
        found.retain(|candidate| pin.is_none_or(|pin| candidate.provider.name == pin));
        found
    }
}

impl Provider {
    /// The header that carries the key.
    #[must_use]
    pub fn key_header(&self) -> &str {
        let usual = if self.dialect == ProviderDialect::Anthropic { "x-api-key" } else { "authorization" };
        self.credential_header.as_deref().unwrap_or(usual)
    }

    /// The header that names the version of the API, where its dialect has one.
    #[must_use]
    pub fn version_header(&self) -> Option<(&'static str, &str)> {
        let version = self.api_version.as_deref().unwrap_or("2023-06-01");
        (self.dialect == ProviderDialect::Anthropic).then_some((ANTHROPIC_VERSION, version))
    }

    /// The query parameter that names the version of the API, where there is one.
    #[must_use]
    pub fn version_query(&self) -> Option<(&'static str, &str)> {
        let by_query = matches!(self.dialect, ProviderDialect::OpenaiChat | ProviderDialect::OpenaiResponses);
        self.api_version.as_deref().filter(|_| by_query).map(|version| (API_VERSION, version))
    }

    fn candidate(&self, name: &str) -> Option<Candidate<'_>> {
        if let Some(model) = self.models.iter().find(|model| model.serves(name)) {
            let upstream = model.upstream.clone().unwrap_or_else(|| name.to_owned());
            return Some(Candidate { provider: self, model, upstream });
        }
        let stand_in = self.tiers.get(&Tier::of_model(name)?)?;
        let model = self.models.iter().find(|model| model.serves(stand_in))?;
        let upstream = model.upstream.clone().unwrap_or_else(|| stand_in.clone());
        Some(Candidate { provider: self, model, upstream })
    }
}

/// What a model costs, in US dollars for a million tokens. That is also millionths of a dollar for one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Of a token read, cached or not.
    pub input: f64,
    /// Of a token written.
    pub output: f64,
}

impl Prices {
    /// What `usage` costs in millionths of a US dollar; `None` without prices.
    #[must_use]
    pub fn cost_micros(self, usage: &Usage) -> Option<u64> {
        let cost = (usage.input_tokens as f64).mul_add(self.input, usage.output_tokens as f64 * self.output);
        // Prices were checked to be finite and not negative; a conversion from float saturates.
        (self.input > 0.0 || self.output > 0.0).then(|| cost.round() as u64)
    }
}

impl Model {
    /// Tokens to reserve for an answer without a limit of its own.
    #[must_use]
    pub fn reserve(&self) -> u32 {
        self.max_output.unwrap_or(DEFAULT_OUTPUT)
    }

    /// Its prices.
    #[must_use]
    pub const fn prices(&self) -> Prices {
        Prices { input: self.input_price, output: self.output_price }
    }

    /// Whether clients reach this model by `name`.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => self.name == name,
        }
    }
}

const fn hundred() -> u32 {
    100
}

const fn default_window() -> u32 {
    128_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalog() -> Catalog {
        let body = json!({"provider": [
            {"name": "last", "dialect": "openai_chat", "priority": 9, "model": [{"name": "gpt-4o"}]},
            {"name": "first", "dialect": "openai_chat", "priority": 1, "model": [{"name": "gpt-*"}]},
            {"name": "second", "dialect": "openai_chat", "priority": 1,
             "model": [{"name": "gpt-4o", "upstream": "vendor/gpt"}, {"name": "huge"}], "tiers": {"big": "huge"}},
        ]});
        serde_json::from_value(body).unwrap()
    }

    fn found(name: &str) -> Vec<(String, String)> {
        let catalog = catalog();
        let named = |candidate: Candidate<'_>| (candidate.provider.name.clone(), candidate.upstream);
        catalog.candidates(name).into_iter().map(named).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, upstream)| ((*name).to_owned(), (*upstream).to_owned())).collect()
    }

    #[test]
    fn candidates_come_by_priority_then_by_place() {
        assert_eq!(found("gpt-4o"), pairs(&[("first", "gpt-4o"), ("second", "vendor/gpt"), ("last", "gpt-4o")]));
        assert_eq!(found("gpt-5"), pairs(&[("first", "gpt-5")]));
        assert_eq!(found("llama"), []);
    }

    #[test]
    fn a_pin_leaves_one_provider() {
        let catalog = catalog();
        let pinned = |name: &str, pin| catalog.candidates_of(name, pin).len();
        assert_eq!((pinned("gpt-4o", None), pinned("gpt-4o", Some("last")), pinned("gpt-5", Some("last"))), (3, 1, 0));
    }

    #[test]
    fn prices_make_costs() {
        let usage = Usage { input_tokens: 1_000, output_tokens: 501, cached_tokens: 900, ..Usage::default() };
        assert_eq!(Prices { input: 0.15, output: 0.6 }.cost_micros(&usage), Some(451));
        assert_eq!(Prices { input: 0.0, output: 0.0 }.cost_micros(&usage), None, "no price is not free");
        assert_eq!(Prices { input: 0.0, output: 2.0 }.cost_micros(&Usage::default()), Some(0));
        let nonsense = Usage { input_tokens: u64::MAX, ..Usage::default() };
        assert_eq!(Prices { input: 9.0, output: 0.0 }.cost_micros(&nonsense), Some(u64::MAX));
    }

    #[test]
    fn keys_and_versions_go_where_the_dialect_has_them() {
        let provider = |body: serde_json::Value| serde_json::from_value::<Provider>(body).unwrap();
        let plain = |dialect: &str| provider(json!({"name": "p", "dialect": dialect}));
        let [anthropic, chat] = [plain("anthropic"), plain("openai_chat")];
        assert_eq!((anthropic.key_header(), chat.key_header()), ("x-api-key", "authorization"));
        assert_eq!(anthropic.version_header(), Some(("anthropic-version", "2023-06-01")));
        assert_eq!((anthropic.version_query(), chat.version_header(), chat.version_query()), (None, None, None));
        let azure = json!({
            "name": "p", "dialect": "openai_responses", "credential_header": "api-key", "api_version": "preview",
        });
        let azure = provider(azure);
        assert_eq!((azure.key_header(), azure.version_query()), ("api-key", Some(("api-version", "preview"))));
    }

    #[test]
    fn another_vendors_name_finds_its_tier() {
        assert_eq!(found("claude-Opus-9"), pairs(&[("second", "huge")]));
        assert_eq!(found("claude-haiku-9"), []);
    }
}
