//! The letters of printed sheets: Noto Sans SC, cut down to the characters of GB 2312, of Hong Kong's names, and of Latin
//! scripts (`scripts/font`; OFL 1.1, beside it). It is part of the binary, so a sheet looks the same on every machine.
//!
//! A character that it lacks is shown as the font's box with a cross, and read by a search in the PDF as U+FFFD.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use pdf_writer::{Name, Str, types::SystemInfo};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

static FILE: &[u8] = include_bytes!("font/NotoSansSC-subset.ttf");
static FACE: LazyLock<Face<'static>> =
    LazyLock::new(|| Face::parse(FILE, 0).unwrap_or_else(|error| unreachable!("our own font: {error}")));

/// PDF counts glyphs in thousandths of the size, and so does the font.
pub const UNITS: f32 = 1000.0;
/// Its name in documents; the tag in front says that it is a part of the font.
pub const POSTSCRIPT_NAME: &[u8] = b"DPTRVL+NotoSansSC-Regular";
/// Of characters that people's devices know and the font does not.
const MISSING: GlyphId = GlyphId(0);
const MISSING_READ_AS: char = '\u{FFFD}';

pub const SYSTEM: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
pub const CMAP_NAME: Name<'static> = Name(b"DeepTravel");

/// What the font says of itself, in thousandths of the size.
pub struct Metrics {
    pub ascent: f32,
    pub descent: f32,
    pub cap_height: f32,
    pub bounds: [f32; 4],
}

pub fn metrics() -> Metrics {
    let bounds = FACE.global_bounding_box();
    let bounds = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(f32::from);
    let cap_height = FACE.capital_height().map_or(UNITS * 0.7, f32::from);
    Metrics { ascent: f32::from(FACE.ascender()), descent: f32::from(FACE.descender()), cap_height, bounds }
}

fn glyph(c: char) -> GlyphId {
    // What breaks lines elsewhere is a blank here: lines are ours.
    let c = if c.is_whitespace() { ' ' } else { c };
    FACE.glyph_index(c).unwrap_or(MISSING)
}

fn advance(glyph: GlyphId) -> f32 {
    FACE.glyph_hor_advance(glyph).map_or(UNITS, f32::from)
}

/// Of a text at a size, in the size's unit.
pub fn width(text: &str, size: f32) -> f32 {
    text.chars().map(|c| advance(glyph(c))).sum::<f32>() * size / UNITS
}

/// The glyphs that one document uses, numbered in the order in which they come.
#[derive(Debug, Default)]
pub struct Used {
    glyphs: GlyphRemapper,
    read_as: BTreeMap<u16, char>,
}

impl Used {
    /// A text as the document has it: two bytes a glyph.
    pub fn encode(&mut self, text: &str) -> Vec<u8> {
        let numbers = text.chars().map(|c| {
            let glyph = glyph(c);
            let number = self.glyphs.remap(glyph.0);
            self.read_as.entry(number).or_insert(if glyph == MISSING { MISSING_READ_AS } else { c });
            number
        });
        numbers.flat_map(u16::to_be_bytes).collect()
    }

    /// By number, from 0 on.
    pub fn widths(&self) -> Vec<f32> {
        self.glyphs.remapped_gids().map(|glyph| advance(GlyphId(glyph))).collect()
    }

    /// What a search finds a number as.
    pub fn read_as(&self) -> impl Iterator<Item = (u16, char)> {
        self.read_as.iter().map(|(number, c)| (*number, *c))
    }

    /// The part of the font that has these glyphs and no others.
    pub fn file(&self) -> Result<Vec<u8>, subsetter::Error> {
        subsetter::subset(FILE, 0, &self.glyphs)
    }
}

#[cfg(test)]
pub fn has(c: char) -> bool {
    glyph(c) != MISSING
}
