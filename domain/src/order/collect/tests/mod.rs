//! Stories of this topic.

mod boarding;
mod matrix;
mod paying;
