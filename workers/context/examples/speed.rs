//! How long counting takes: a conversation that comes back (warm) and one that is new (cold), and texts made to be slow.
//! `cargo run --release -p context --example speed`
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use context::{Counter, Encoding, Tokenizer};
use schemas::chat::{ChatRequest, Message, Role};

/// Bytes of each text made to be slow.
const LARGE: usize = 10 << 20;
const ROUNDS: u32 = 50;

fn main() {
    for name in ["o200k_base", "cl100k_base"] {
        Encoding::by_name(name).into_iter().for_each(Encoding::warm_up);
    }
    for messages in [200, 2000] {
        for model in ["gpt-4o", "claude-sonnet-4-5"] {
            conversation(model, messages);
        }
    }
    println!("\n10 MB of            MB/s o200k  cl100k  claude");
    for (name, text) in slow() {
        let rate = |count: &dyn Fn(&str) -> u64| LARGE as f64 / 1e6 / time(|| count(&text)).as_secs_f64();
        let [o200k, cl100k, claude] = ["gpt-4o", "gpt-4", "claude-2"].map(|model| {
            let tokenizer = Tokenizer::of_name(model);
            rate(&|text| tokenizer.text(text))
        });
        println!("{name:24} {o200k:8.1} {cl100k:7.1} {claude:7.1}");
    }
}

fn conversation(model: &str, messages: usize) {
    let words = "the quick brown fox jumps over a lazy dog while nobody is looking at the fence ".repeat(3);
    let role = |n: usize| if n.is_multiple_of(2) { Role::User } else { Role::Assistant };
    let messages = (0..messages).map(|n| Message::text(role(n), format!("{n}: {words}"))).collect();
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let counter = Counter::new(1 << 16);
    let meter = counter.meter(Tokenizer::of_name(model));
    let cold = time(|| meter.request(&request));
    // The best of many: others use this machine too.
    let warm = (0..ROUNDS).map(|_| time(|| meter.request(&request))).min().unwrap_or_default();
    let each = warm / u32::try_from(request.messages.len()).unwrap_or(1);
    println!("{model:18} {:5} messages: cold {cold:9.1?}, warm {warm:9.1?}, {each:.0?} each", request.messages.len());
}

fn time(act: impl FnOnce() -> u64) -> Duration {
    let began = Instant::now();
    black_box(act());
    began.elapsed()
}

fn slow() -> Vec<(&'static str, String)> {
    let fill = |piece: &str| piece.repeat(LARGE / piece.len());
    let scattered = |from: u32, of: u32| {
        (0_u32..).filter_map(|n| char::from_u32(from + n.wrapping_mul(2_654_435_761) % of)).take(LARGE / 3).collect()
    };
    vec![
        ("prose", fill("Every queue, buffer and wait is bounded; so is this. ")),
        ("one letter", fill("a")),
        ("capitals", fill("A")),
        ("letters of both cases", fill("aAaaAAAa")),
        ("digits", fill("1234567890")),
        ("blanks", fill(" ")),
        ("blanks, then a letter", fill(&format!("{}x", " ".repeat(4000)))),
        ("line ends", fill("\n")),
        ("blanks and line ends", fill("   \n \r\n\t")),
        ("signs", fill("!@#$%^&*")),
        ("slashes and line ends", fill("/\n/\r")),
        ("apostrophes", fill("'s'T'LL")),
        (
            "base64",
            fill("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg"),
        ),
        ("marks on one letter", format!("e{}", fill("\u{301}"))),
        ("Chinese", scattered(0x4e00, 0x5200)),
        ("Korean", scattered(0xac00, 0x2b00)),
        ("emoji", fill("👨‍👩‍👧‍👦🏳️‍🌈👍🏽")),
        ("special tokens", fill("<|endoftext|>")),
    ]
}
