//! Stories of this topic.

mod matrix;
mod paying;
