//! What every operation stands on, whoever asks: the listener, who asks and whether he may, what is read from a request,
//! how is answered. Knows no audience; the audiences know it.

mod address;
mod answer;
mod auth;
mod calls;
mod canonical;
mod certificate;
mod door;
mod extract;
mod guesses;
mod heavy;
mod list;
mod middleware;
mod numbered;
mod openapi;
mod partner;
mod passwords;
mod permission;
mod person;
mod place;
mod problem;
mod query;
pub mod refusals;
mod refused;
mod request_id;
mod routes;
mod safety;
mod server;
mod settings;
mod staff_login;
mod state;
mod strict;

pub use answer::{Answered, json, never_cached, no_content, of_json, ok, ok_of, written, written_large};
pub use auth::{LoggedIn, Staff, Traveller, new_secret, secret_bytes, sha256};
pub(crate) use canonical::canonical;
pub use canonical::{Canonical, Text, hash_of};
pub use certificate::{Certificate, TlsFiles};
pub use extract::{
    BODY_BYTES_MAX, Body, IdempotencyKey, Language, OptionalKey, is_visible_ascii, parse_json, parse_listed, read_body,
    read_json_body,
};
pub use list::{Own, Page, Paging, Reader, read_fresh};
pub use middleware::Frame;
pub use numbered::{Numbered, NumberedPaging};
pub use partner::{NewKey, Partner};
pub use passwords::hash_password;
pub use permission::*;
pub use person::{NewContact, person_name};
pub use problem::Problem;
pub use query::{parse_date, parse_query, parse_word};
pub use routes::{Routes, document};
pub use server::{CONNECTIONS_BESIDE, Listen, serve};
pub use settings::{OtaSettings, ServerSettings, SessionSettings, hours_after};
pub use staff_login::{Login, PASSWORD_CHARS_MIN, StaffLogin, check_login, check_own_password, log_in, new_password};
pub use state::{Api, ApiParts, Slot};
