//! The engine as stories.

mod paying;
mod projecting;
mod restarting;
mod scanning;
mod selling;
