//! `item_reference`: a request may name an item of an earlier response where it would repeat it. The item is put in its
//! place before the request is read, as if it had been sent.

use std::collections::{BTreeMap, HashMap};

use schemas::dialect::openai_responses;
use schemas::error::{ErrorCode, Failure};
use schemas::id::JobId;
use serde_json::{Map, Value};

use super::{kept, shown};
use crate::app::App;
use crate::auth::Caller;
use crate::body::{Holds, within};
use crate::error::ApiError;

/// Most responses that one request may take items of.
const MOST: usize = 64;
/// Without this, the proof of a thought is not shown, and a thought without it is of no use to a provider.
const PROOFS: &str = "reasoning.encrypted_content";

/// Items that are named in an input, by their place in it.
type Named = Vec<(usize, String)>;

/// Puts the items that `object` names into its input. Returns the memory set aside for them, if there are any.
///
/// # Errors
/// `invalid_request` for an item that is not kept, 413 when they come to more than a body may.
pub(crate) async fn resolve(
    app: &App,
    caller: &Caller,
    object: &mut Map<String, Value>,
) -> Result<Option<Holds>, ApiError> {
    let Some(Value::Array(input)) = object.get_mut("input") else { return Ok(None) };
    let named = named(input)?;
    let (mut bytes, limit) = (0, app.config.ingress.max_body_bytes);
    for (response, named) in &named {
        let items = items(app, caller, *response, named).await?;
        let items: HashMap<&str, &Value> = items.iter().filter_map(|item| Some((item["id"].as_str()?, item))).collect();
        for (index, id) in named {
            let item = *items.get(id.as_str()).ok_or_else(|| missing(*index))?;
            bytes += item.to_string().len();
            if bytes > limit {
                let message = format!("the items that are named come to more than {limit} bytes");
                return Err(ApiError::new(ErrorCode::PayloadTooLarge, message));
            }
            input[*index] = item.clone();
        }
    }
    if named.is_empty() {
        return Ok(None);
    }
    Ok(Some(vec![within(app.config.ingress.body_timeout, app.memory.hold_built(bytes)).await?]))
}

/// The items that are named, by the responses that they are of.
fn named(input: &[Value]) -> Result<BTreeMap<JobId, Named>, Failure> {
    let mut named: BTreeMap<JobId, Named> = BTreeMap::new();
    for (index, item) in input.iter().enumerate().filter(|(_, item)| is_reference(item)) {
        let id = item["id"].as_str().ok_or_else(|| missing(index))?;
        let response = openai_responses::response_of_item(id).ok_or_else(|| missing(index))?;
        named.entry(response).or_default().push((index, id.to_owned()));
    }
    if named.len() > MOST {
        return Err(Failure::invalid("input", format!("expected items of at most {MOST} earlier responses")));
    }
    Ok(named)
}

/// The API takes the type for granted where there is nothing but an id.
fn is_reference(item: &Value) -> bool {
    match item.get("type") {
        None | Some(Value::Null) => item.get("id").is_some() && item.get("role").is_none(),
        Some(kind) => kind == "item_reference",
    }
}

/// The items of a response: those of its answer, and of its input if any of these is named.
async fn items(app: &App, caller: &Caller, response: JobId, named: &Named) -> Result<Vec<Value>, ApiError> {
    let known = super::known(app, caller, response).await;
    let mut known = known.map_err(|error| match (error.failure().code, named.first()) {
        (ErrorCode::NotFound | ErrorCode::Gone, Some((index, _))) => missing(*index).into(),
        _ => error,
    })?;
    let mut items = Vec::new();
    if named.iter().any(|(_, id)| openai_responses::is_input_item(id)) {
        let (request, _hold) = kept::request(app, response, &known.found).await?;
        let messages = openai_responses::without_instructions(&request.messages, &known.options);
        items = openai_responses::input_items(messages, &request.tools, &response.prefixed("resp_"));
    }
    known.options.include.push(PROOFS.to_owned());
    items.extend(output(shown::shown(app, known).await?));
    Ok(items)
}

fn output(mut response: Value) -> Vec<Value> {
    match response["output"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn missing(index: usize) -> Failure {
    let message = "no item with this id is kept: send the item itself, or previous_response_id";
    Failure::invalid(format!("input[{index}]"), message)
}

#[cfg(test)]
mod tests {
    use schemas::timestamp::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_names_an_item_is_a_reference() {
        for item in [json!({"type": "item_reference", "id": "x"}), json!({"id": "x"}), json!({"type": null, "id": "x"})]
        {
            assert!(is_reference(&item), "{item}");
        }
        for item in [
            json!({"role": "user", "content": "x"}),
            json!({"id": "x", "role": "assistant", "content": "x"}),
            json!({"type": "message", "id": "x", "role": "user", "content": "x"}),
            json!("x"),
            json!(null),
        ] {
            assert!(!is_reference(&item), "{item}");
        }
    }

    #[test]
    fn a_name_that_is_not_ours_is_told_by_its_place() {
        let item = |id: Value| json!({"type": "item_reference", "id": id});
        for id in [json!("msg_1"), json!("msg_68af4030baa48193b0b43b4c2a176a1a"), json!(1), json!(null)] {
            let input = [json!({"role": "user", "content": "x"}), item(id)];
            assert_eq!(named(&input).unwrap_err().param.as_deref(), Some("input[1]"));
        }
        let many: Vec<_> = (0..=MOST as i64)
            .map(|n| item(json!(format!("msg_{}_0", JobId::new(Timestamp::from_millis(n), 0)))))
            .collect();
        assert_eq!(named(&many).unwrap_err().param.as_deref(), Some("input"));
        assert_eq!(named(&many[1..]).unwrap().len(), MOST);
    }
}
