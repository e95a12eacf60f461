//! Stories of this topic.

mod packages;
mod scanning;
