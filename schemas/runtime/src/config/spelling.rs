//! How a setting is written: its variable, and the array that it may be.

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "PORTBROKER_";

/// The variable that sets `path`; an entry of an array is set with its whole array.
pub(super) fn variable(path: &str) -> String {
    let path = path.split('[').next().unwrap_or(path);
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}

/// How the array at `path` is written.
pub(super) fn example_array(path: &str) -> &'static str {
    match path {
        "telegram.allowed_users" => "for example [123456789]",
        "telegram.routes" => r#"for example [{ matchers = ["kind=disk"], chat = "-1001234567890" }]"#,
        _ => r#"for example [{ key = "at least 16 characters", tenant = "acme" }]"#,
    }
}
