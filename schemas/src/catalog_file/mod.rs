//! A providers file, from its text to a [`Catalog`]: every fault is reported at once, each with the provider it
//! concerns, and none shows a value that may be a secret.

mod check;
mod fields;
mod routing;

use secrecy::SecretString;
use toml::{Table, Value};

use crate::catalog::{Catalog, Provider};

/// The providers used when no file is named: the built-in echo.
pub const DEFAULT: &str = include_str!("../default_providers.toml");

/// Reads a providers file with its credentials: `env` looks an environment variable up.
///
/// # Errors
/// Every fault of the file, one sentence each, an unset `credential_env` among them.
pub fn parse(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Catalog, Vec<String>> {
    let mut catalog = parse_without_credentials(text)?;
    let faults: Vec<_> =
        catalog.providers.iter_mut().filter_map(|provider| find_credential(provider, &env).err()).collect();
    if faults.is_empty() { Ok(catalog) } else { Err(faults) }
}

/// Reads a providers file for a role that calls no provider and so needs no key: `credential_env` is left alone.
///
/// # Errors
/// Every fault of the file, one sentence each.
pub fn parse_without_credentials(text: &str) -> Result<Catalog, Vec<String>> {
    let table = text.parse::<Table>().map_err(|error| vec![syntax(text, &error)])?;
    let faults = fields::faults(&table);
    if !faults.is_empty() {
        return Err(faults);
    }
    let catalog: Catalog = Value::Table(table).try_into().map_err(|_| vec!["the file cannot be read".to_owned()])?;
    let mut faults = check::faults(&catalog);
    faults.extend(routing::faults(&catalog));
    if faults.is_empty() { Ok(catalog) } else { Err(faults) }
}

/// The parser's own display quotes the line at fault, which may hold a key: tell its number instead.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message().replace('\n', ", "))
}

/// Puts the key that `credential_env` names in its place. Line ends around it, as mounted secrets have them, go.
fn find_credential(provider: &mut Provider, env: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let Some(variable) = &provider.credential_env else {
        return Ok(());
    };
    let fault = |fault: &str| Err(format!("provider {}: the environment variable {variable} {fault}", provider.name));
    match env(variable).as_deref().map(str::trim) {
        None | Some("") => fault("of `credential_env` is not set"),
        Some(key) if !check::is_header_value(key) => fault("holds characters that no header may have"),
        Some(key) => {
            provider.credential = Some(SecretString::from(key));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const WRONG: &str = r#"
colour = "red"

[[provider]]
name = "one"
dialect = "openai_chat"
base_url = 7
priority = "sk-mistaken-secret"
credential = 12345678
shade = 1
[[provider.model]]
name = "m"
context_window = -1
heft = 2
[provider.model.context]
low_water = "deep"
keep_latest = 1
clear_tool_results = { keep = -1, tools = [] }
[[provider.model]]
name = "n"
context = { clear_tool_results = 3 }
[provider.quirks]
no_such_quirk = true

[[provider]]
dialect = "carrier_pigeon"
"#;

    const MEANINGLESS: &str = r#"
[[provider]]
name = "one"
dialect = "openai_chat"
base_url = "ftp://user:hidden@example.org/v1?x=1"
credential = "a"
credential_env = "B"
[provider.headers]
"bad header" = "x"
[[provider.model]]
name = "m*n"
max_output = 200000
encoding = "klingon"
input_price = -1.0
context = { low_water = 1.5, budget = 0 }
[[provider.model]]
name = "m*n"
[provider.tiers]
big = "absent"

[[provider]]
name = "one"
dialect = "openai_chat"

[[provider]]
name = "two"
dialect = "anthropic"
base_url = "https://example.org/v1"
path = "messages?beta=true"
api_version = "2023 06"
headers = { Anthropic-Version = "2023-06-01" }
[[provider.model]]
name = "m"

[[provider]]
name = "three"
dialect = "openai_responses"
base_url = "https://example.org/v1"
path = "/{deployment}/responses"
api_version = "preview"
query = { api-version = "preview" }
[[provider.model]]
name = "m"
"#;

    /// The examples in the default file's comments: each begins with a table and ends with a line without four blanks.
    fn examples() -> Vec<String> {
        let mut examples = Vec::new();
        for block in DEFAULT.split("\n#   [[provider]]\n").skip(1) {
            let lines = block.lines().map_while(|line| match line {
                "#" => Some(""),
                line => line.strip_prefix("#   "),
            });
            examples.push(format!("[[provider]]\n{}", lines.collect::<Vec<_>>().join("\n")));
        }
        examples
    }

    #[test]
    fn every_example_is_valid() {
        let examples = examples();
        assert!(examples.len() >= 4, "{examples:?}");
        let catalog = parse(&examples.join("\n"), |_| Some("k".to_owned())).unwrap();
        let dialects: Vec<_> = catalog.providers.iter().map(|provider| provider.dialect.to_string()).collect();
        for dialect in ["openai_chat", "openai_responses", "anthropic"] {
            assert!(dialects.contains(&dialect.to_owned()), "{dialect} has no example");
        }
    }

    #[test]
    fn the_default_is_valid_and_serves_echo() {
        let catalog = parse(DEFAULT, |_| None).unwrap();
        for model in ["echo", "echo-slow-500ms", "claude-opus-4"] {
            assert_eq!(catalog.candidates(model).len(), 1, "{model}");
        }
        assert!(catalog.candidates("gpt-4o").is_empty());
    }

    #[test]
    fn every_wrong_field_is_named_at_once_and_no_value_is_shown() {
        let faults = parse(WRONG, |_| None).unwrap_err().join("\n");
        insta::assert_snapshot!(faults, @r"
        unknown field `colour`
        provider one: `base_url`: expected a string
        provider one: `credential`: expected text
        provider one: `priority`: expected u32
        provider one: unknown field `shade`
        provider one, quirks: unknown field `no_such_quirk`
        provider one, model m: `context_window`: expected u32
        provider one, model m: unknown field `heft`
        provider one, model m, context: unknown field `keep_latest`
        provider one, model m, context: `low_water`: expected f64
        provider one, model m, context, clear_tool_results: unknown field `tools`
        provider one, model m, context, clear_tool_results: `keep`: expected u32
        provider one, model n, context: `clear_tool_results`: expected a boolean or a table
        provider 2: `name` is missing
        provider 2: `dialect`: expected one of `openai_chat`, `openai_responses`, `anthropic`, `echo`
        ");
        assert!(!faults.contains("mistaken") && !faults.contains("12345678"));
    }

    #[test]
    fn every_meaningless_value_is_named_at_once() {
        let faults = parse(MEANINGLESS, |_| None).unwrap_err().join("\n");
        insta::assert_snapshot!(faults, @r#"
        provider one: `base_url` must begin with http:// or https://
        provider one: it has both `credential` and `credential_env`
        provider one: `headers`: "bad header" is no header name
        provider one: model m*n: a `*` may stand only once, at the end of `name`
        provider one: model m*n: `max_output` must be above 0 (4096 when unset) and below `context_window`
        provider one: model m*n: `encoding` is none of o200k_base, cl100k_base
        provider one: model m*n: a price must be 0 or more
        provider one: model m*n: `context.low_water` must be above 0 and at most 1
        provider one: model m*n: `context.budget` must be above 0
        provider one: model m*n: listed twice
        provider one: model m*n: a `*` may stand only once, at the end of `name`
        provider one: the tier big names the model absent, which it does not serve
        provider one: `base_url` is missing
        provider one: it serves no model: add [[provider.model]]
        provider one: another provider has the same name
        provider two: `path` must begin with /
        provider two: `api_version` is empty, or holds characters that no version has
        provider two: it has both `api_version` and anthropic-version in `headers`
        provider three: `path` may hold {model} and no other brace
        provider three: it has both `api_version` and api-version in `query`
        "#);
        assert!(!faults.contains("hidden"));
    }

    #[test]
    fn a_syntax_error_is_told_by_its_line_without_quoting_it() {
        let faults = parse("[[provider]]\ncredential = \"sk-secret\" x\n", |_| None).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("line 2: ") && !faults[0].contains("sk-secret"), "{faults:?}");
    }

    #[test]
    fn a_key_comes_from_its_variable_or_its_absence_is_told() {
        let text = DEFAULT.replace("dialect = \"echo\"", "dialect = \"echo\"\ncredential_env = \"KEY\"");
        let catalog = parse(&text, |name| (name == "KEY").then(|| " k-1\n".to_owned())).unwrap();
        assert_eq!(catalog.providers[0].credential.as_ref().unwrap().expose_secret(), "k-1");
        for value in [None, Some("\n".to_owned()), Some("a\nb".to_owned())] {
            let faults = parse(&text, |_| value.clone()).unwrap_err();
            assert!(faults[0].starts_with("provider echo: the environment variable KEY"), "{faults:?}");
        }
        assert!(parse_without_credentials(&text).unwrap().providers[0].credential.is_none());
    }

    #[test]
    fn a_file_without_providers_is_refused() {
        assert_eq!(parse("", |_| None).unwrap_err(), ["there is no [[provider]] in the file"]);
        assert_eq!(parse("provider = 3", |_| None).unwrap_err(), ["`provider`: expected [[provider]] tables"]);
    }
}
