//! What every operation stands on, whoever asks: the listener, who asks and whether he may, what is read from a request,
//! how is answered. Knows no audience; the audiences know it.

pub mod answer;
pub mod auth;
pub mod extract;
pub mod list;
pub mod middleware;
pub mod openapi;
pub mod passwords;
pub mod permission;
pub mod problem;
pub mod query;
pub mod routes;
mod seen;
pub mod server;
pub mod staff_login;
pub mod state;
mod strict;

pub use problem::Problem;
pub use routes::Routes;
pub use state::Api;
