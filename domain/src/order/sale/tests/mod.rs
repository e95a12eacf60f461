//! Stories of this topic.

mod late;
mod placing;
mod promoted;
