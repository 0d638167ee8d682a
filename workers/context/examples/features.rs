//! Features of texts, for `tests/bench/calibrate.py`: reads a JSON array of texts, and writes one of their features by
//! the encoding that the argument names.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::Read as _;

use context::Encoding;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let encoding = Encoding::by_name(&name).ok_or("usage: features o200k_base|cl100k_base")?;
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let texts: Vec<String> = serde_json::from_str(&input)?;
    let features: Vec<Vec<u64>> = texts.iter().map(|text| encoding.features(text).0.to_vec()).collect();
    println!("{}", serde_json::to_string(&features)?);
    Ok(())
}
