//! What is kept quiet, and what is told once it is not.

mod inhibitions;
mod silences;
