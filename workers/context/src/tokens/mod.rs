//! Token counts: exact for the text of OpenAI's models, an estimate by data for everyone else's. Where a provider does
//! not document a cost, the figure errs upwards, so that what is said to fit does fit.

mod cache;
mod counter;
mod encoding;
mod families;
mod image;
mod image_size;
mod message;
mod opaque;
mod split;
mod tokenizer;
mod tools;

pub use counter::{CacheStats, Counter, Meter};
pub use encoding::Encoding;
pub use tokenizer::{ImageRule, Tokenizer, ToolRule};
