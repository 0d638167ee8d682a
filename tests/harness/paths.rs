//! Where things are: the repository, the programs, the Python environment.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's top folder.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The program that the environment's `variable` names, else the first of this name on PATH or in `more`.
///
/// # Panics
/// When there is none, with what to do about it.
#[must_use]
pub fn program(variable: &str, name: &str, more: &[PathBuf]) -> PathBuf {
    if let Some(path) = env::var_os(variable).filter(|value| !value.is_empty()) {
        return path.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(more.iter().cloned())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} not found: run ./tests/run.sh, which installs it, or set {variable}"))
}

/// The nats-server: `PORTBROKER_NATS_SERVER`, else the one on PATH, else the one that `deploy/install/nats.sh` installed.
#[must_use]
pub fn nats_server() -> PathBuf {
    program("PORTBROKER_NATS_SERVER", "nats-server", &[repository().join(".tools/nats/bin")])
}

/// The `portbroker` binary: `PORTBROKER_BIN`, else the one of the profile that this test was built with.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn portbroker() -> PathBuf {
    if let Some(path) = env::var_os("PORTBROKER_BIN").filter(|value| !value.is_empty()) {
        return path.into();
    }
    let test = env::current_exe().expect("the test knows its own path");
    let folder = test.parent().expect("a program lies in a folder");
    // Tests lie in target/<profile>/deps, programs in target/<profile>.
    let profile = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let binary = profile.join("portbroker");
    assert!(binary.is_file(), "{} is missing: cargo build -p portbroker", binary.display());
    binary
}

/// A Python with the packages of `tests/clients/requirements.txt`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn python() -> PathBuf {
    let usual = repository().join(".venv/bin/python");
    let python = env::var_os("PORTBROKER_TEST_PYTHON").map_or(usual, PathBuf::from);
    assert!(python.is_file(), "{} is missing: run ./tests/run.sh, which makes it", python.display());
    python
}
