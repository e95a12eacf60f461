//! Codes as text and as QR symbols (R-TICKET-04). They are short-lived: the app asks for a fresh one before the last
//! has expired.

use std::io::Cursor;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use deeptravel_domain::code::{CodePayload, Subject, seal};
use image::{DynamicImage, ImageFormat, Luma};
use qrcode::render::svg;
use qrcode::types::QrError;
use qrcode::{EcLevel, QrCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::secret_bytes;
use super::{Api, Problem, view};

/// Smallest side of an image, in pixels: enough for a phone's screen.
const SIDE_PIXELS_MIN: u32 = 360;
/// When an image's code expires, for clients that do not ask for JSON.
const EXPIRES_HEADER: HeaderName = HeaderName::from_static("x-code-expires-at");

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QrQuery {
    /// `json` (default), `svg` or `png`.
    #[param(pattern = "^(json|svg|png)$")]
    format: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Code)]
pub struct CodeView {
    /// What the QR symbol says.
    pub code: String,
    #[schema(format = DateTime)]
    pub expires_at: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Json,
    Svg,
    Png,
}

impl QrQuery {
    pub fn format(&self) -> Result<Format, Problem> {
        match self.format.as_deref() {
            None | Some("json") => Ok(Format::Json),
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            Some(_) => Err(Problem::field("format", "is none of json, svg, png")),
        }
    }
}

/// A fresh code for a subject whose owner asks.
pub fn code(api: &Api, subject: Subject, format: Format) -> Result<HttpResponse, Problem> {
    let issued_at = api.engine.now();
    let expires_at = issued_at.plus_seconds(i64::from(api.settings.code_seconds));
    let payload = CodePayload { subject, issued_at, expires_at };
    let code = seal(&api.code_keys, &payload, secret_bytes());
    let expires_at = view::time(expires_at);

    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((EXPIRES_HEADER, expires_at.as_str()));
    let (media_type, image) = match format {
        Format::Json => return Ok(response.json(CodeView { code, expires_at })),
        Format::Svg => ("image/svg+xml", svg_image(&code).map_err(|error| fault(&error))?.into_bytes()),
        Format::Png => ("image/png", png_image(&code)?),
    };
    response.insert_header((CONTENT_TYPE, media_type));
    Ok(response.body(image))
}

fn symbol(code: &str) -> Result<QrCode, QrError> {
    QrCode::with_error_correction_level(code, EcLevel::M)
}

fn svg_image(code: &str) -> Result<String, QrError> {
    Ok(symbol(code)?.render::<svg::Color<'_>>().min_dimensions(SIDE_PIXELS_MIN, SIDE_PIXELS_MIN).build())
}

fn png_image(code: &str) -> Result<Vec<u8>, Problem> {
    let symbol = symbol(code).map_err(|error| fault(&error))?;
    let image = symbol.render::<Luma<u8>>().min_dimensions(SIDE_PIXELS_MIN, SIDE_PIXELS_MIN).build();
    let mut png = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(image).write_to(&mut png, ImageFormat::Png).map_err(|error| fault(&error))?;
    Ok(png.into_inner())
}

/// A code of ours always fits a symbol, and memory takes every image.
fn fault(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "A code cannot be drawn: {error}");
    Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::code::CODE_TEXT_LEN;

    use super::*;

    #[test]
    fn r_ticket_04_a_code_is_drawn_as_a_small_symbol_in_both_formats() {
        let code = format!("DT1{}", "A".repeat(CODE_TEXT_LEN - 3));
        assert_eq!(symbol(&code).unwrap().width(), 37, "version 5");
        assert!(svg_image(&code).unwrap().contains("<svg"));
        let png = png_image(&code).unwrap();
        assert_eq!(png.get(..8), Some(&b"\x89PNG\r\n\x1a\n"[..]));
    }

    #[test]
    fn another_format_is_refused() {
        let format = |format: Option<&str>| QrQuery { format: format.map(str::to_owned) }.format();
        assert_eq!(format(None), Ok(Format::Json));
        assert_eq!(format(Some("png")), Ok(Format::Png));
        assert_eq!(format(Some("gif")).unwrap_err().errors()[0].field, "format");
    }
}
