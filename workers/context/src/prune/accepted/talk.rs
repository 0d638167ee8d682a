//! Long conversations with tools, as agents have them: the same for the same seed.

use schemas::chat::{Block, Extra, Message, Reasoning, Role, ToolCall, ToolResult};

const WORDS: [&str; 48] = [
    "the",
    "river",
    "a",
    "market",
    "of",
    "glass",
    "and",
    "quiet",
    "engineers",
    "measured",
    "before",
    "dawn",
    "their",
    "bridges",
    "while",
    "trains",
    "carried",
    "letters",
    "across",
    "winter",
    "fields",
    "nobody",
    "counted",
    "invoices",
    "because",
    "seven",
    "clocks",
    "had",
    "stopped",
    "in",
    "Lisbon",
    "however",
    "every",
    "signal",
    "returned",
    "with",
    "better",
    "numbers",
    "than",
    "yesterday",
    "so",
    "they",
    "wrote",
    "another",
    "report",
    "about",
    "tides",
    "which",
];
const TOOLS: [&str; 4] = ["search", "read_file", "run_query", "memory"];

/// Numbers without a pattern that matters: SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to below `high`.
    fn from(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low)
    }

    /// So many words.
    fn words(&mut self, count: u64) -> String {
        let words: Vec<_> = (0..count).map(|_| WORDS[(self.roll() % WORDS.len() as u64) as usize]).collect();
        words.join(" ")
    }

    /// As many words as of `range`.
    fn some(&mut self, (low, high): (u64, u64)) -> String {
        let count = self.from(low, high);
        self.words(count)
    }
}

/// How much is said, in words from one number to below another.
pub(super) struct Shape {
    /// By a user.
    pub(super) asked: (u64, u64),
    /// By the model.
    pub(super) answered: (u64, u64),
    /// By a tool.
    pub(super) told: (u64, u64),
    /// By a tool, every fourth time.
    pub(super) told_long: (u64, u64),
}

/// A system prompt, and turns of a user, tools in about two of three of them, and an answer.
pub(super) fn talk(seed: u64, turns: usize, shape: &Shape) -> Vec<Message> {
    let mut dice = Dice(seed);
    let mut messages = vec![Message::text(Role::System, dice.words(80))];
    let mut calls = 0;
    for _ in 0..turns {
        messages.push(Message::text(Role::User, dice.some(shape.asked)));
        for _ in 0..[0, 1, 1, 2, 3, 0][dice.from(0, 6) as usize] {
            exchange(&mut dice, &mut calls, shape, &mut messages);
        }
        messages.push(Message::text(Role::Assistant, dice.some(shape.answered)));
    }
    messages
}

/// One to three calls at once behind signed thinking, and a message for each result.
fn exchange(dice: &mut Dice, calls: &mut u64, shape: &Shape, messages: &mut Vec<Message>) {
    let thought = Reasoning {
        signature: Some("c2lnbmVk".to_owned()),
        dialect: Some("anthropic".to_owned()),
        ..Reasoning::text(dice.words(20))
    };
    let first = *calls;
    *calls += dice.from(1, 4);
    let asked = (first..*calls).map(|number| {
        Block::ToolCall(ToolCall {
            id: format!("toolu_{number}"),
            name: TOOLS[(number % 4) as usize].to_owned(),
            arguments: format!(r#"{{"query":"{}"}}"#, dice.words(6)),
            extra: Extra::new(),
        })
    });
    let content = std::iter::once(Block::Reasoning(thought)).chain(asked).collect();
    messages.push(Message { content, ..Message::text(Role::Assistant, "") });
    for number in first..*calls {
        let words = if dice.from(0, 4) == 0 { shape.told_long } else { shape.told };
        let result = ToolResult {
            tool_call_id: format!("toolu_{number}"),
            content: vec![Block::text(dice.some(words))],
            is_error: dice.from(0, 20) == 0,
            extra: Extra::new(),
        };
        messages.push(Message { content: vec![Block::ToolResult(result)], ..Message::text(Role::Tool, "") });
    }
}
