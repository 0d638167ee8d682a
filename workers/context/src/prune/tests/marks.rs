//! Marks of prompt caches on what is left out.

use serde_json::{Value, json};

use super::*;

/// A message whose last block bears a mark of two dialects.
fn marked(message: Message, ttl: &str) -> Message {
    let mark = json!({"cache_control": {"type": "ephemeral", "ttl": ttl}});
    let own = Extra::from_iter([("anthropic".to_owned(), mark.clone()), ("openai_chat".to_owned(), mark)]);
    let mut message = message;
    match message.content.last_mut() {
        Some(Block::Text { extra, .. }) => *extra = own,
        Some(Block::ToolResult(result)) => result.extra = own,
        other => panic!("{other:?} bears no mark"),
    }
    message
}

/// Where marks are in what is sent: the index of the message, and the mark's time to live.
fn marks_of(messages: Vec<Message>, budget: &Budget) -> Vec<(usize, String)> {
    let plan = plan_with(&messages, budget).unwrap();
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let sent = serde_json::to_value(&plan.apply(&request).messages).unwrap();
    let ttl = |message: &Value| {
        let text = message.to_string();
        let (_, rest) = text.split_once(r#""ttl":""#)?;
        Some(rest.split('"').next()?.to_owned())
    };
    sent.as_array().unwrap().iter().enumerate().filter_map(|(at, message)| Some((at, ttl(message)?))).collect()
}

#[test]
fn the_only_mark_of_the_history_moves_to_the_end_of_what_is_kept() {
    let messages = vec![system("s"), marked(user("1"), "1h"), assistant("1"), user("2"), assistant("2"), user("3")];
    assert_eq!(marks_of(messages.clone(), &whole(6)), [(1, "1h".to_owned())], "nothing is dropped");
    // System, second turn, newest user: it stands before the newest turn.
    assert_eq!(marks_of(messages.clone(), &whole(5)), [(2, "1h".to_owned())]);
    assert_eq!(marks_of(messages, &whole(2)), [(1, "1h".to_owned())], "nothing else is left");
}

#[test]
fn of_several_the_last_moves_and_none_is_added() {
    let messages = vec![marked(user("1"), "1h"), marked(assistant("1"), "5m"), user("2"), assistant("2"), user("3")];
    assert_eq!(marks_of(messages.clone(), &whole(3)), [(1, "5m".to_owned())]);
    let mut more = messages;
    more[4] = marked(user("3"), "2h");
    assert_eq!(marks_of(more, &whole(3)), [(2, "2h".to_owned())], "one is left: nothing moves");
}

#[test]
fn marks_of_instructions_are_not_the_historys() {
    let messages = vec![marked(system("s"), "1h"), marked(user("1"), "5m"), user("2"), assistant("2"), user("3")];
    assert_eq!(marks_of(messages, &whole(4)), [(0, "1h".to_owned()), (2, "5m".to_owned())]);
}

#[test]
fn a_mark_stands_where_it_can() {
    let thought = Block::Reasoning(schemas::chat::Reasoning::text("hm"));
    let blank = Message { content: vec![Block::text("2"), thought, Block::text(" ")], ..assistant("") };
    let messages = vec![marked(user("1"), "1h"), user("2"), blank, user("3")];
    let plan = plan_with(&messages, &whole(3)).unwrap();
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let sent = plan.apply(&request).into_owned().messages;
    let Block::Text { extra, .. } = &sent[1].content[0] else { panic!("not a text") };
    assert_eq!(extra["anthropic"]["cache_control"]["ttl"], "1h");
    assert_eq!(extra["openai_chat"], extra["anthropic"]);
}

#[test]
fn a_mark_within_a_cleared_result_stays_there() {
    let within = |ttl: &str| {
        let mut message = result("a");
        let Block::ToolResult(inner) = &mut message.content[0] else { panic!("not a result") };
        inner.content = marked(user("long"), ttl).content;
        message
    };
    let messages = vec![user("1"), call(&["a"]), within("1h"), user("2")];
    let clear = Some(crate::budget::Clearing::default());
    assert_eq!(marks_of(messages, &Budget { clear, ..whole(3) }), [(2, "1h".to_owned())]);
}
