//! A dead job submitted anew: what the client may change, and what the new job takes over.

use schemas::chat::ChatRequest;
use schemas::error::Failure;
use schemas::job::{Job, Lane};
use schemas::timestamp::Timestamp;
use serde_json::{Map, Value};

use super::Submission;
use super::fields;
use super::unknown::refuse_unknown;

const FIELDS: [&str; 4] = ["model", "provider", "lane", "deadline"];

/// What is to be different this time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Changes {
    model: Option<String>,
    provider: Option<String>,
    lane: Option<Lane>,
    deadline: Option<Timestamp>,
}

/// The changes in the body of a replay.
pub(crate) fn decode(object: &Map<String, Value>) -> Result<Changes, Failure> {
    refuse_unknown("", object, FIELDS.iter())?;
    let mut changes = Changes::default();
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "model" => changes.model = Some(fields::string(name, value)?.to_owned()),
            "provider" => changes.provider = Some(fields::string(name, value)?.to_owned()),
            "lane" => changes.lane = Some(fields::lane_of(value)?),
            _ => changes.deadline = Some(fields::moment(name, value)?),
        }
    }
    Ok(changes)
}

/// `parent` again, with `changes`. Its times are its own and are not taken over; nor is the provider it may have been
/// pinned to, nor a client that waited for it.
pub(crate) fn submission(parent: Job, mut request: ChatRequest, changes: Changes) -> Submission {
    if let Some(model) = changes.model {
        request.model = model;
    }
    Submission {
        lane: changes.lane.unwrap_or(parent.head.lane),
        not_before: None,
        deadline: changes.deadline,
        session: parent.head.session,
        metadata: parent.head.metadata,
        on_ambiguous: parent.head.on_ambiguous,
        context: parent.context,
        request,
        warnings: parent.warnings,
        synchronous: false,
        parent: Some(parent.id),
        provider: changes.provider,
        surface: parent.surface,
    }
}

#[cfg(test)]
mod tests {
    use schemas::id::JobId;
    use schemas::job::{OnAmbiguous, Payload};
    use serde_json::json;

    use super::*;

    fn decoded(body: Value) -> Result<Changes, Failure> {
        let Value::Object(object) = body else { panic!("not an object") };
        decode(&object)
    }

    fn parent() -> Job {
        let head = json!({
            "tenant": "t", "lane": "low", "model": "m", "created_at": 0, "body_hash": "h", "synchronous": true,
            "not_before": 1, "deadline": 2, "session": "s", "metadata": {"a": "b"}, "on_ambiguous": "fail",
            "provider": "p",
        });
        Job {
            id: JobId::new(Timestamp::from_millis(0), 1),
            head: serde_json::from_value(head).unwrap(),
            context: schemas::job::ContextOptions { budget: Some(9), ..Default::default() },
            request: Payload::Inline(Box::default()),
            warnings: Vec::new(),
            surface: None,
        }
    }

    #[test]
    fn every_change_is_read_and_nothing_else_is() {
        let changes = decoded(json!({"model": "m", "provider": "p", "lane": "high", "deadline": 7})).unwrap();
        let deadline = Some(Timestamp::from_millis(7000));
        let (model, provider) = (Some("m".to_owned()), Some("p".to_owned()));
        assert_eq!(changes, Changes { model, provider, lane: Some(Lane::High), deadline });
        assert_eq!(decoded(json!({"model": null})).unwrap(), Changes::default());
        let failure = decoded(json!({"modle": "m"})).unwrap_err();
        assert_eq!(failure.message, "modle: unknown field: did you mean model?");
        for (name, value) in
            [("model", json!(1)), ("provider", json!([])), ("lane", json!("fast")), ("deadline", json!({}))]
        {
            assert_eq!(decoded(json!({name: value})).unwrap_err().param.as_deref(), Some(name));
        }
    }

    #[test]
    fn a_replay_is_its_parent_but_for_times_and_pin() {
        let again = submission(parent(), ChatRequest::default(), Changes::default());
        assert_eq!((again.lane, again.session.as_deref(), again.metadata["a"].as_str()), (Lane::Low, Some("s"), "b"));
        assert_eq!((again.on_ambiguous, again.context.budget), (OnAmbiguous::Fail, Some(9)));
        assert_eq!((again.not_before, again.deadline, again.provider, again.synchronous), (None, None, None, false));
        assert_eq!(again.parent, Some(parent().id));
        let changes = decoded(json!({"model": "other", "provider": "q", "lane": "high"})).unwrap();
        let changed = submission(parent(), ChatRequest::default(), changes);
        assert_eq!((changed.request.model.as_str(), changed.provider.as_deref()), ("other", Some("q")));
        assert_eq!(changed.lane, Lane::High);
    }
}
