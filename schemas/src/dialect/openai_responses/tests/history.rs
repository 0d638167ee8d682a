//! What a client asked, as it may look at it again.

use super::fixtures::whole_request;
use super::{SUFFIX, reply};
use crate::chat::{Message, Role};
use crate::dialect::openai_responses::{ClientOptions, decode_request, input_items, without_instructions};

#[test]
fn the_input_items_of_an_answer() {
    let decoded = decode_request(whole_request()).unwrap();
    let messages = without_instructions(&decoded.request.messages, &decoded.options);
    assert_eq!(messages.len() + 1, decoded.request.messages.len());
    let items = input_items(messages, &decoded.request.tools, &reply().id);
    insta::assert_json_snapshot!("input_items", items);
    assert_eq!(input_items(messages, &decoded.request.tools, &reply().id), items);
    let ids: std::collections::BTreeSet<_> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), items.len());
    // They can be sent as they are.
    let body = serde_json::json!({"model": "m", "input": items, "tools": whole_request()["tools"]});
    let roles = |messages: &[Message]| messages.iter().map(|message| message.role).collect::<Vec<_>>();
    assert_eq!(roles(&decode_request(body).unwrap().request.messages), roles(messages));
}

#[test]
fn only_instructions_are_left_out() {
    let messages = [Message::text(Role::System, "be brief"), Message::text(Role::User, "hi")];
    assert_eq!(without_instructions(&messages, &ClientOptions::default()), messages);
    let options = ClientOptions { instructions: Some("be brief".to_owned()), ..ClientOptions::default() };
    assert_eq!(without_instructions(&messages, &options), &messages[1..]);
    assert!(input_items(&[], &[], &format!("resp_{SUFFIX}")).is_empty());
}
