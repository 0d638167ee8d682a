//! Token counts: exact for the text of OpenAI's models, an estimate by data for everyone else's. Where a provider does
//! not document a cost, the figure errs upwards, so that what is said to fit does fit.

mod cache;
mod calibration;
mod coefficients;
mod correction;
mod counter;
mod digest;
mod encoding;
mod estimate;
mod families;
mod features;
mod file;
mod image;
mod image_size;
mod kind;
mod message;
mod opaque;
mod part;
#[cfg(test)]
mod references;
mod split;
mod tokenizer;
mod tools;

pub use calibration::Calibration;
pub use correction::{Correction, Factor};
pub use counter::{CacheStats, Counter, Meter};
pub use encoding::Encoding;
pub use features::{COLUMNS, Features};
pub use tokenizer::{ImageRule, TextRule, Tokenizer, ToolRule};
