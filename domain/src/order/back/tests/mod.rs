//! Stories of this topic.

mod refunds;
