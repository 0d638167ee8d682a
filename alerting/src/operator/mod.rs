//! What operators press and write in their chats: received by the leader alone, let in or refused, put on record, carried
//! out, and answered.

mod answers;
mod audit;
mod carry;
mod command;
mod done;
mod door;
mod inquiry;
mod listing;
mod parse;
mod reach;
mod receive;
mod toasts;
mod visit;

pub(crate) use inquiry::Inquiry;
pub(crate) use reach::Reach;
pub(crate) use receive::Operators;
