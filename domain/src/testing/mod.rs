//! What tests share, also with those of other crates, which include this file by its path.

// No crate needs all of it.
#![allow(dead_code)]

mod balance;
mod images;
mod stocks;

pub use balance::Balance;
pub use images::Images;
pub use stocks::StockAnswers;
