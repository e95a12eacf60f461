//! Stories of this topic.

mod scanning;
