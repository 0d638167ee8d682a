//! `config check` and `config show`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use runtime::config::{self, Config, Source};

use crate::cli::ConfigAction;
use crate::output;

/// The environment, but for what is not text.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Where the configuration comes from.
pub(crate) fn source(file: Option<&Path>) -> Source {
    Source::new(file.map(Path::to_owned), environment())
}

/// Loads the configuration as every role does; all errors at once.
pub(crate) fn load(file: Option<&Path>) -> Result<Config> {
    match source(file).load() {
        Ok(config) => Ok(config),
        Err(errors) => bail!("the configuration cannot be used\n{errors}"),
    }
}

pub(crate) fn run(action: &ConfigAction, file: Option<&Path>) -> Result<ExitCode> {
    if let ConfigAction::Show { defaults: true, .. } = action {
        output::piece(config::DEFAULT);
        return Ok(ExitCode::SUCCESS);
    }
    let config = load(file)?;
    let shown = config.shown();
    match action {
        ConfigAction::Show { json: true, .. } => output::line(&serde_json::to_string_pretty(&shown)?),
        ConfigAction::Show { .. } => output::piece(&toml::to_string(&shown)?),
        ConfigAction::Check => {
            output::piece(&toml::to_string(&shown)?);
            output::note("configuration is valid");
        }
    }
    Ok(ExitCode::SUCCESS)
}
