//! What a sealed code looks like: a QR symbol (ISO/IEC 18004), as SVG and as PNG.

use std::fmt::Write as _;
use std::io::Cursor;

use fast_qr::qr::QRCodeError;
use fast_qr::{ECL, QRBuilder, QRCode};
use image::{GrayImage, ImageFormat, Luma};

/// Blank modules on each side, of which the standard asks four: without them readers do not find the symbol.
pub const QUIET_MODULES: u16 = 4;
/// Side of an SVG image's module, in pixels, where nothing else scales it.
const SVG_MODULE_PIXELS: u16 = 8;
const WHITE: u8 = 255;
const BLACK: u8 = 0;

/// Why a text has no symbol, or a symbol no image. Codes of ours always have both.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    #[error("the text does not fit a QR symbol")]
    Text(#[source] QRCodeError),
    #[error("the image cannot be written")]
    Image(#[source] image::ImageError),
}

/// The modules of one code, row by row, without the quiet zone.
#[derive(Clone)]
pub struct Symbol {
    width: usize,
    dark: Box<[bool]>,
}

/// Dark modules side by side, counted from the symbol's upper left module, without the quiet zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub row: u16,
    pub from: u16,
    pub len: u16,
}

impl Symbol {
    /// In the smallest version that has level M (15 % of it may be dirt), and then at the highest level that fits the same
    /// version: larger modules are read sooner than better repaired ones, and repair is free where there is room. A text of
    /// QR's 45 characters is stored in alphanumeric mode, 11 bits for two.
    pub fn of(text: &str) -> Result<Symbol, SymbolError> {
        let mut builder = QRBuilder::new(text);
        let smallest = builder.ecl(ECL::M).build().map_err(SymbolError::Text)?;
        let mut of_level = |level| builder.version(smallest.version?).ecl(level).build().ok();
        let stronger = of_level(ECL::H).or_else(|| of_level(ECL::Q));
        Ok(Symbol::from(&stronger.unwrap_or(smallest)))
    }

    /// In modules, with the quiet zone.
    pub fn side(&self) -> u16 {
        self.width as u16 + 2 * QUIET_MODULES
    }

    /// The fewest pixels per module with which the image's side has at least so many.
    pub fn module_pixels(&self, side_pixels_min: u32) -> u32 {
        side_pixels_min.div_ceil(u32::from(self.side()))
    }

    /// In modules, without the quiet zone: 17 + 4 × version.
    #[cfg(test)]
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        let Symbol { width, dark: modules } = self;
        let mut at = 0;
        std::iter::from_fn(move || {
            let from = at + modules.get(at..)?.iter().position(|is_dark| *is_dark)?;
            let row_end = (from / width + 1) * width;
            let dark = modules.get(from..row_end)?.iter().take_while(|is_dark| **is_dark).count();
            at = from + dark;
            Some(Run { row: (from / width) as u16, from: (from % width) as u16, len: dark as u16 })
        })
    }

    fn is_dark(&self, x: u32, y: u32) -> bool {
        let quiet = u32::from(QUIET_MODULES);
        let inside = quiet..quiet + self.width as u32;
        let is_inside = inside.contains(&x) && inside.contains(&y);
        is_inside && self.dark[(y - quiet) as usize * self.width + (x - quiet) as usize]
    }
}

impl From<&QRCode> for Symbol {
    fn from(code: &QRCode) -> Symbol {
        let modules = code.data.iter().take(code.size * code.size);
        Symbol { width: code.size, dark: modules.map(|module| module.value()).collect() }
    }
}

/// An image of its own, sharp at every size; black on white, also on a dark page.
pub fn svg(symbol: &Symbol) -> String {
    let side = symbol.side();
    let pixels = side * SVG_MODULE_PIXELS;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\""
    );
    for Run { row, from, len } in symbol.runs() {
        let (x, y) = (from + QUIET_MODULES, row + QUIET_MODULES);
        // Writing into a text does not fail.
        let _ = write!(svg, "M{x} {y}h{len}v1h-{len}z");
    }
    svg.push_str("\"/></svg>");
    svg
}

/// Grey levels; `module_pixels`: side of a module.
pub fn png(symbol: &Symbol, module_pixels: u32) -> Result<Vec<u8>, SymbolError> {
    let module_pixels = module_pixels.max(1);
    let side = u32::from(symbol.side()) * module_pixels;
    let image = GrayImage::from_fn(side, side, |x, y| {
        Luma([if symbol.is_dark(x / module_pixels, y / module_pixels) { BLACK } else { WHITE }])
    });
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).map_err(SymbolError::Image)?;
    Ok(png.into_inner())
}
