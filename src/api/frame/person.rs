//! Names, and who is to be told, as requests give them. Texts are checked for length and for characters that no name has, so
//! that nothing behind this point can be refused by the journal or by Postgres (rule 8).

use std::borrow::Cow;

use deeptravel_domain::order::Contact;
use deeptravel_domain::text;
use serde::Deserialize;
use utoipa::ToSchema;

use super::canonical::{Text, canonical};
use super::problem::Problem;

/// Longest name of a person, in characters: the longest field of a travel document has fewer.
const NAME_CHARS_MAX: usize = 64;
/// Longest mail address, in bytes (RFC 5321).
const EMAIL_LEN_MAX: usize = 254;

/// Who is told about an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact<'a> {
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    #[serde(borrow)]
    name: Text<'a>,
    #[schema(value_type = String, example = "+852 5555 0123", max_length = 32, pattern = "^[-+() 0-9]+$")]
    phone: Text<'a>,
    #[schema(value_type = Option<String>, max_length = 254, pattern = "^[^@ ]+@[^@ ]+[.][^@ ]+$")]
    email: Option<Text<'a>>,
}

canonical!(NewContact { name, phone, email });

impl<'a> NewContact<'a> {
    pub fn of(name: Text<'a>, phone: Text<'a>, email: Option<Text<'a>>) -> NewContact<'a> {
        NewContact { name, phone, email }
    }
}

impl NewContact<'_> {
    /// Errors name the field, below `field`.
    pub fn contact(&self, field: &str) -> Result<Contact, Problem> {
        let name = person_name(|| format!("{field}.name").into(), &self.name)?;
        let phone = text::telephone(&self.phone);
        let phone = phone.ok_or_else(|| Problem::field(format!("{field}.phone"), "is no telephone number"))?;
        let email = self.email.as_deref().map(|given| mail_address(field, given)).transpose()?;
        Ok(Contact { name, phone, email })
    }
}

pub fn person_name(field: impl FnOnce() -> Cow<'static, str>, given: &str) -> Result<Box<str>, Problem> {
    let name = given.trim();
    if text::is_blank(name) || name.chars().count() > NAME_CHARS_MAX || text::has_controls(name) {
        let message = format!("is not 1 to {NAME_CHARS_MAX} characters without control characters");
        return Err(Problem::field(field(), message));
    }
    Ok(name.into())
}

/// Only what cannot be an address is refused; whether it is one, mail will show.
fn mail_address(field: &str, given: &str) -> Result<Box<str>, Problem> {
    let plausible = given.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    let clean = !text::has_controls(given) && !given.contains(char::is_whitespace);
    if plausible && clean && given.len() <= EMAIL_LEN_MAX {
        Ok(given.into())
    } else {
        Err(Problem::field(format!("{field}.email"), "is no mail address"))
    }
}
