//! What others call when something has happened with them.

mod wechat;

pub use wechat::routes;
