//! Whether a submission may become a job now: its model is served, its times are possible, the disk has room.

use std::time::Duration;

use schemas::catalog::Catalog;
use schemas::error::{ErrorCode, Failure};
use schemas::timestamp::Timestamp;

use super::Submission;
use crate::app::App;
use crate::error::ApiError;
use crate::models;

const LONGEST_MODEL: usize = 256;

pub(super) fn admit(app: &App, submission: &Submission, now: Timestamp) -> Result<(), ApiError> {
    model_name(&submission.request.model)?;
    if !models::is_served(&app.catalog, &submission.request.model) {
        return Err(unknown_model(app).into());
    }
    provider(&app.catalog, submission)?;
    times(submission, now, app.config.streams.max_delay)?;
    if app.disk.is_low() {
        return Err(ApiError::unavailable(
            "the broker's disk is nearly full: nothing new is accepted; try again later",
        ));
    }
    Ok(())
}

/// Names end up in subjects' headers, metrics and SQL; a wildcard model would let anything through.
fn model_name(name: &str) -> Result<(), Failure> {
    let printable = !name.chars().any(char::is_control);
    if printable && (1..=LONGEST_MODEL).contains(&name.chars().count()) {
        return Ok(());
    }
    let message = format!("expected 1 to {LONGEST_MODEL} characters, none of them a control character");
    Err(Failure::invalid("model", message))
}

fn unknown_model(app: &App) -> Failure {
    let message = format!("no provider serves this model; there are: {}", models::summary(&app.catalog));
    Failure { code: ErrorCode::NotFound, message, param: Some("model".to_owned()) }
}

/// A pinned job may ask that one provider alone.
fn provider(catalog: &Catalog, submission: &Submission) -> Result<(), Failure> {
    let (model, pin) = (&submission.request.model, submission.provider.as_deref());
    if !catalog.candidates_of(model, pin).is_empty() {
        return Ok(());
    }
    let candidates = catalog.candidates(model);
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate.provider.name.as_str()).collect();
    let message = format!("this provider does not serve the model; there are: {}", names.join(", "));
    Err(Failure::invalid("provider", message))
}

fn times(submission: &Submission, now: Timestamp, farthest: Duration) -> Result<(), Failure> {
    let Submission { not_before, deadline, .. } = submission;
    let limit = now.after(farthest);
    let hours = farthest.as_secs() / 3600;
    if deadline.is_some_and(|deadline| deadline <= now) {
        return Err(Failure::invalid("deadline", format!("the deadline has passed: it is {now} now")));
    }
    if deadline.is_some_and(|deadline| deadline > limit) {
        return Err(Failure::invalid("deadline", format!("expected at most {hours} hours from now")));
    }
    if not_before.is_some_and(|moment| moment > limit) {
        return Err(Failure::invalid("not_before", format!("expected at most {hours} hours from now")));
    }
    match (not_before, deadline) {
        (Some(start), Some(end)) if start >= end => {
            Err(Failure::invalid("not_before", "expected a moment before the deadline"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(not_before: Option<i64>, deadline: Option<i64>) -> Option<String> {
        let moment = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let submission =
            Submission { not_before: not_before.map(moment), deadline: deadline.map(moment), ..Submission::default() };
        times(&submission, moment(1000), Duration::from_secs(3600)).err().and_then(|failure| failure.param)
    }

    #[test]
    fn times_must_be_possible() {
        assert_eq!(verdict(None, None), None);
        assert_eq!(verdict(Some(10), Some(1001)), None, "a start in the past is now");
        assert_eq!(verdict(Some(4600), None), None);
        assert_eq!(verdict(Some(4601), None).as_deref(), Some("not_before"));
        assert_eq!(verdict(None, Some(1000)).as_deref(), Some("deadline"));
        assert_eq!(verdict(None, Some(4601)).as_deref(), Some("deadline"));
        assert_eq!(verdict(Some(2000), Some(2000)).as_deref(), Some("not_before"));
    }

    #[test]
    fn a_pinned_provider_must_serve_the_model() {
        let text = r#"provider = [
            { name = "a", dialect = "echo", model = [{ name = "m" }] },
            { name = "b", dialect = "echo", model = [{ name = "m" }] },
            { name = "c", dialect = "echo", model = [{ name = "other" }] },
        ]"#;
        let catalog: Catalog = toml::from_str(text).unwrap();
        let verdict = |pin: Option<&str>| {
            let mut submission = Submission { provider: pin.map(str::to_owned), ..Submission::default() };
            submission.request.model = "m".to_owned();
            provider(&catalog, &submission).err()
        };
        assert_eq!((verdict(None), verdict(Some("b"))), (None, None));
        for pin in ["c", "nobody"] {
            let failure = verdict(Some(pin)).unwrap();
            assert_eq!(failure.param.as_deref(), Some("provider"));
            assert_eq!(failure.message, "provider: this provider does not serve the model; there are: a, b");
        }
    }

    #[test]
    fn names_of_models_are_bounded() {
        assert!(model_name("gpt-4o").is_ok());
        assert!(model_name("").is_err() && model_name("a\nb").is_err() && model_name(&"x".repeat(257)).is_err());
    }
}
