//! The rules alone are read again when the configuration file changes, or on SIGHUP. A file that cannot be used changes
//! nothing: it is logged, counted and told.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounterVec;
use runtime::config::{AlertsConfig, ConfigErrors, Source};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How often the file is looked at. It must look the same twice: an editor may be half way through it.
const LOOK: Duration = Duration::from_secs(2);
/// Longest error that is told.
const LONGEST: usize = 400;

/// The rules in force, and what is wrong with those that came after them.
#[derive(Debug, Clone)]
pub(crate) struct Reloaded {
    pub(crate) config: Arc<AlertsConfig>,
    pub(crate) error: Option<String>,
}

/// What became of reading again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Outcome {
    /// Other rules are in force.
    Applied,
    /// The rules are the same.
    Unchanged,
    /// It cannot be used.
    Refused,
}

/// Reads again whenever it must, until dropped. Without a file there is nothing to read again.
pub(crate) async fn follow(source: Source, state: watch::Sender<Reloaded>, outcomes: IntCounterVec) {
    let Some(file) = source.file().map(Path::to_owned) else { return std::future::pending().await };
    let mut hangups = signal(SignalKind::hangup())
        .inspect_err(|error| tracing::warn!(error = error as &dyn std::error::Error, "SIGHUP is not heard"))
        .ok();
    // Nothing was read yet: the file may have changed since the process read it.
    let (mut applied, mut seen) = (None, None);
    loop {
        let asked = wait(&mut hangups).await;
        let found = Some(digest(&file).await);
        let settled = found == seen;
        seen = found;
        if asked || (settled && seen != applied) {
            applied = seen;
            let source = source.clone();
            let read = tokio::task::spawn_blocking(move || source.load().map(|config| config.alerts)).await;
            let Ok(read) = read else { continue };
            let outcome = take_in(&state, read);
            outcomes.with_label_values(&[<&str>::from(outcome)]).inc();
        }
    }
}

/// Until it is time to look; true when somebody asks for it.
async fn wait(hangups: &mut Option<Signal>) -> bool {
    let hangup = async {
        match hangups {
            Some(hangups) => hangups.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = hangup => true,
        () = tokio::time::sleep(LOOK) => false,
    }
}

/// What the file holds, in short; of one that cannot be read, that.
async fn digest(file: &Path) -> Option<u64> {
    let bytes = tokio::fs::read(file).await.ok()?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}

fn take_in(state: &watch::Sender<Reloaded>, read: Result<AlertsConfig, ConfigErrors>) -> Outcome {
    match read {
        Ok(config) => {
            let outcome = if *state.borrow().config == config { Outcome::Unchanged } else { Outcome::Applied };
            if outcome == Outcome::Applied || state.borrow().error.is_some() {
                tracing::info!(outcome = <&str>::from(outcome), "rules read again");
                state.send_replace(Reloaded { config: Arc::new(config), error: None });
            }
            outcome
        }
        Err(errors) => {
            tracing::error!(error = %errors, "the changed configuration cannot be used: the rules before it stay");
            state.send_modify(|state| state.error = Some(shortened(&errors)));
            Outcome::Refused
        }
    }
}

/// The first error, and how many there are beside it.
fn shortened(errors: &ConfigErrors) -> String {
    let (first, more) = match errors.errors() {
        [] => return "it cannot be read".to_owned(),
        [first, more @ ..] => (first.to_string(), more.len()),
    };
    let first: String = first.chars().take(LONGEST).collect();
    if more == 0 { first } else { format!("{first} (and {more} more)") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn loaded(settings: &[(&str, &str)]) -> Result<AlertsConfig, ConfigErrors> {
        let environment =
            settings.iter().map(|(name, value)| (format!("PORTBROKER_ALERTS__{name}"), (*value).to_owned()));
        Source::new(None, environment.collect::<BTreeMap<_, _>>()).load().map(|config| config.alerts)
    }

    #[test]
    fn what_cannot_be_used_changes_nothing_and_is_told_until_it_can() {
        let old = loaded(&[]).unwrap();
        let (state, _held) = watch::channel(Reloaded { config: Arc::new(old.clone()), error: None });
        assert_eq!(take_in(&state, loaded(&[])), Outcome::Unchanged);
        let wrong = loaded(&[("RULES__ERROR_RATE__THRESHOLD", "2"), ("RULES__QUEUE_AGE__FOR", "soon")]);
        assert_eq!(take_in(&state, wrong), Outcome::Refused);
        assert_eq!(*state.borrow().config, old);
        let told = state.borrow().error.clone().unwrap();
        assert!(told.starts_with("alerts.rules.") && told.ends_with(" (and 1 more)"), "{told}");
        assert_eq!(take_in(&state, loaded(&[("RULES__QUEUE_BACKLOG__THRESHOLD", "7")])), Outcome::Applied);
        assert_eq!((state.borrow().config.rules.queue_backlog.threshold, &state.borrow().error), (7, &None));
        assert_eq!(take_in(&state, loaded(&[])), Outcome::Applied);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_once_it_has_settled() {
        let folder = std::env::temp_dir().join(format!("rules-{:032x}", runtime::clock::random_bits()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("portbroker.toml");
        let write = |threshold: u64| {
            std::fs::write(&file, format!("[alerts.rules]\nqueue_backlog = {{ threshold = {threshold} }}\n")).unwrap();
        };
        write(1);
        let source = Source::new(Some(file.clone()), BTreeMap::new());
        let config = Arc::new(source.load().unwrap().alerts);
        let (state, mut heard) = watch::channel(Reloaded { config, error: None });
        let outcomes = IntCounterVec::new(prometheus::Opts::new("reloads", "reloads"), &["outcome"]).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(follow(source, state, outcomes.clone()));
        write(2);
        heard.changed().await.unwrap();
        assert_eq!(heard.borrow_and_update().config.rules.queue_backlog.threshold, 2);
        std::fs::write(&file, "[alerts.rules]\nqueue_backlog = 5\n").unwrap();
        heard.changed().await.unwrap();
        assert!(heard.borrow_and_update().error.is_some());
        write(3);
        heard.changed().await.unwrap();
        let now = heard.borrow_and_update().clone();
        assert_eq!((now.config.rules.queue_backlog.threshold, now.error), (3, None));
        assert_eq!(outcomes.with_label_values(&["applied"]).get(), 2);
        assert_eq!(outcomes.with_label_values(&["refused"]).get(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
