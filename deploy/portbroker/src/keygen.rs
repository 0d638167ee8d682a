//! `keygen`: a key for sessions at rest. The key goes to standard output alone, so that it can be piped.

use std::io::BufRead;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use runtime::cipher;
use secrecy::{ExposeSecret, SecretString};

use crate::cli::KeygenArguments;
use crate::output;

/// As configuration wants them.
const SHORTEST_PASSWORD: usize = 12;
const SHORTEST_SALT: usize = 16;

pub(crate) fn run(arguments: &KeygenArguments) -> Result<ExitCode> {
    if !arguments.password {
        output::line(cipher::random_key().expose_secret());
        output::note("set it on every role: PORTBROKER_SESSIONS__ENCRYPTION_KEY, or encryption_key in [sessions]");
        return Ok(ExitCode::SUCCESS);
    }
    output::note("the password, in one line:");
    let password = password()?;
    let salt = arguments.salt.clone().unwrap_or_else(|| format!("{:032x}", runtime::clock::random_bits()));
    if salt.chars().count() < SHORTEST_SALT {
        bail!("--salt: expected at least {SHORTEST_SALT} characters");
    }
    output::line(cipher::derived_key(&password, &salt).expose_secret());
    output::note(&format!(
        "set it on every role as PORTBROKER_SESSIONS__ENCRYPTION_KEY, or set the password itself as\n\
         PORTBROKER_SESSIONS__PASSWORD and, beside it, PORTBROKER_SESSIONS__PASSWORD_SALT={salt}"
    ));
    Ok(ExitCode::SUCCESS)
}

fn password() -> Result<SecretString> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no password can be read")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.chars().count() < SHORTEST_PASSWORD {
        bail!("the password is too short: expected at least {SHORTEST_PASSWORD} characters");
    }
    Ok(password.into())
}
