//! Codes as text and as QR symbols (R-TICKET-04): one-time codes for the app, which asks for a fresh one before the last
//! has expired, and codes to be printed, which live as long as the ticket.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use deeptravel_domain::code::{Code, CodeKind, Sealed, Subject, seal};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::ticket::Ticket;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{Answered, Api, Problem, secret_bytes};
use crate::api::views::code::{EXPIRES_HEADER, ImageFormat, image};
use crate::api::views::{self, Zoned};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QrQuery {
    /// `json` (default), `svg` or `png`.
    #[param(pattern = "^(json|svg|png)$")]
    format: Option<String>,
    /// `app`: valid for a minute, redeems once; each request answers another. `print`: as long as the ticket. Without it,
    /// what the order's channel gives: `app`, where one buys from us.
    #[param(pattern = "^(app|print)$")]
    #[serde(rename = "use")]
    purpose: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    format: Format,
    kind: CodeKind,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Code)]
pub struct CodeView {
    /// What the QR symbol says.
    pub code: String,
    pub expires_at: Zoned,
    /// It redeems once, and is refused as `REPLAYED` when it is shown again elsewhere.
    pub one_time: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Json,
    Svg,
    Png,
}

impl QrQuery {
    pub fn wanted(&self) -> Result<Wanted, Problem> {
        let format = match self.format.as_deref() {
            None | Some("json") => Format::Json,
            Some("svg") => Format::Svg,
            Some("png") => Format::Png,
            Some(_) => return Err(Problem::field("format", "is none of json, svg, png")),
        };
        let asked = match self.purpose.as_deref() {
            None => None,
            Some("app") => Some(CodeKind::OneTime),
            Some("print") => Some(CodeKind::Print),
            Some(_) => return Err(Problem::field("use", "is neither app nor print")),
        };
        // Travellers reach their own orders only, and those are of direct sale.
        let kind = CodeKind::of(&Channel::Direct, asked);
        let kind = kind.ok_or_else(|| Problem::field("use", "is not for orders of this channel"))?;
        Ok(Wanted { format, kind })
    }
}

/// A fresh code for a subject whose owner asks; `tickets` are those behind it.
pub fn code(api: &Api, subject: Subject, tickets: &[Ticket], wanted: Wanted) -> Answered {
    // In this order: the keys seal from the instant on in which they were loaded.
    let keys = api.code_keys.load();
    let now = api.engine.now();
    let code = match wanted.kind {
        CodeKind::OneTime => Code::one_time(subject, now, api.sessions.code_seconds),
        CodeKind::Print => Code::print(subject, tickets.iter(), now).ok_or(Rejection::TicketsNotIssued)?,
    };
    let one_time = code.kind == CodeKind::OneTime;
    let Sealed { text: code, expires_at } = seal(&keys, &code, now, secret_bytes());
    let expires_at = views::time(expires_at);

    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((EXPIRES_HEADER, expires_at.to_string()));
    let (media_type, image) = match wanted.format {
        Format::Json => return Ok(response.json(CodeView { code, expires_at, one_time })),
        Format::Svg => image(&code, ImageFormat::Svg)?,
        Format::Png => image(&code, ImageFormat::Png)?,
    };
    response.insert_header((CONTENT_TYPE, media_type));
    Ok(response.body(image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_or_use_is_refused() {
        let wanted = |format: Option<&str>, purpose: Option<&str>| {
            QrQuery { format: format.map(str::to_owned), purpose: purpose.map(str::to_owned) }.wanted()
        };
        assert_eq!(wanted(None, None), Ok(Wanted { format: Format::Json, kind: CodeKind::OneTime }));
        assert_eq!(wanted(Some("png"), Some("print")), Ok(Wanted { format: Format::Png, kind: CodeKind::Print }));
        assert_eq!(wanted(Some("gif"), None).unwrap_err().errors()[0].field, "format");
        assert_eq!(wanted(None, Some("tattoo")).unwrap_err().errors()[0].field, "use");
    }
}
