//! A sealed code as an image of a QR symbol.

use actix_web::http::header::HeaderName;

use crate::api::frame::Problem;
use crate::print::{Symbol, SymbolError, png, svg};

/// Smallest side of an image, in pixels: enough for a phone's screen.
const SIDE_PIXELS_MIN: u32 = 360;
/// When an image's code expires, for clients that do not ask for JSON.
pub const EXPIRES_HEADER: HeaderName = HeaderName::from_static("x-code-expires-at");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageFormat {
    Svg,
    Png,
}

/// Media type and bytes.
pub fn image(code: &str, format: ImageFormat) -> Result<(&'static str, Vec<u8>), Problem> {
    let symbol = symbol(code)?;
    Ok(match format {
        ImageFormat::Svg => ("image/svg+xml", svg(&symbol).into_bytes()),
        ImageFormat::Png => {
            let image = png(&symbol, symbol.module_pixels(SIDE_PIXELS_MIN));
            ("image/png", image.map_err(|error| fault(&error))?)
        }
    })
}

pub fn symbol(code: &str) -> Result<Symbol, Problem> {
    Symbol::of(code).map_err(|error| fault(&error))
}

/// A code of ours always fits a symbol, and memory takes every image.
fn fault(error: &SymbolError) -> Problem {
    Problem::fault("A code cannot be drawn", error)
}
