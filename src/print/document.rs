//! A PDF document as far as sheets need one: A4 pages of text in one font, and a form that stands on them many times. What is
//! known is written at once, so of a page only its packed bytes remain; the font comes last, when its glyphs are known.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::font::{self, Used};

/// A4, in points.
pub const PAGE_WIDTH: f32 = mm(210.0);
pub const PAGE_HEIGHT: f32 = mm(297.0);

pub const FONT: Name<'static> = Name(b"F");
pub const FORM: Name<'static> = Name(b"T");

const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const TYPE0_FONT: Ref = Ref::new(3);
const CID_FONT: Ref = Ref::new(4);
const DESCRIPTOR: Ref = Ref::new(5);
const FONT_FILE: Ref = Ref::new(6);
const READ_AS: Ref = Ref::new(7);
const FORM_CONTENT: Ref = Ref::new(8);
const INFO: Ref = Ref::new(9);
const FIRST_PAGE: i32 = 10;

/// Of the strokes of a regular weight; viewers that lack the font would guess by it.
const STEM: f32 = 80.0;

/// Millimetres in points.
pub const fn mm(millimetres: f32) -> f32 {
    millimetres * 72.0 / 25.4
}

pub struct Document {
    pdf: Pdf,
    pages: Vec<Ref>,
    used: Used,
}

impl Document {
    pub fn begin(title: &str) -> Document {
        let mut pdf = Pdf::new();
        pdf.document_info(INFO).title(TextStr(title)).producer(TextStr("DeepTravel"));
        Document { pdf, pages: Vec::new(), used: Used::default() }
    }

    /// A line of text. `x` and `y` of its base line, from the lower left corner, in points.
    pub fn text(&mut self, content: &mut Content, text: &str, size: f32, (x, y): (f32, f32)) {
        let glyphs = self.used.encode(text);
        content.begin_text().set_font(FONT, size).next_line(x, y).show(Str(&glyphs)).end_text();
    }

    /// What every page may show as [`FORM`].
    pub fn form(&mut self, content: Content, width: f32, height: f32) {
        let packed = packed(&content.finish());
        let mut form = self.pdf.form_xobject(FORM_CONTENT, &packed);
        form.bbox(Rect::new(0.0, 0.0, width, height)).filter(Filter::FlateDecode);
        form.resources().fonts().pair(FONT, TYPE0_FONT);
    }

    pub fn page(&mut self, content: Content) {
        let page = Ref::new(FIRST_PAGE + 2 * self.pages.len() as i32);
        let shown = Ref::new(page.get() + 1);
        self.pages.push(page);
        let mut dictionary = self.pdf.page(page);
        dictionary.parent(PAGES).media_box(Rect::new(0.0, 0.0, PAGE_WIDTH, PAGE_HEIGHT)).contents(shown);
        let mut resources = dictionary.resources();
        resources.fonts().pair(FONT, TYPE0_FONT);
        resources.x_objects().pair(FORM, FORM_CONTENT);
        resources.finish();
        dictionary.finish();
        let packed = packed(&content.finish());
        self.pdf.stream(shown, &packed).filter(Filter::FlateDecode);
    }

    pub fn finish(mut self) -> Result<Vec<u8>, subsetter::Error> {
        let font_file = self.used.file()?;

        self.pdf.catalog(CATALOG).pages(PAGES);
        self.pdf.pages(PAGES).count(self.pages.len() as i32).kids(self.pages.iter().copied());
        self.font(&font_file);
        Ok(self.pdf.finish())
    }

    fn font(&mut self, font_file: &[u8]) {
        let name = Name(font::POSTSCRIPT_NAME);
        let mut font = self.pdf.type0_font(TYPE0_FONT);
        font.base_font(name).encoding_predefined(Name(b"Identity-H")).descendant_font(CID_FONT).to_unicode(READ_AS);
        font.finish();

        let mut font = self.pdf.cid_font(CID_FONT);
        font.subtype(CidFontType::Type2).base_font(name).system_info(font::SYSTEM).font_descriptor(DESCRIPTOR);
        font.default_width(font::UNITS).cid_to_gid_map_predefined(Name(b"Identity"));
        font.widths().consecutive(0, self.used.widths());
        font.finish();

        let metrics = font::metrics();
        let [x1, y1, x2, y2] = metrics.bounds;
        let mut descriptor = self.pdf.font_descriptor(DESCRIPTOR);
        descriptor.name(name).flags(FontFlags::SYMBOLIC).bbox(Rect::new(x1, y1, x2, y2)).italic_angle(0.0);
        descriptor.ascent(metrics.ascent).descent(metrics.descent).cap_height(metrics.cap_height).stem_v(STEM);
        descriptor.font_file2(FONT_FILE);
        descriptor.finish();

        let packed_file = packed(font_file);
        let mut stream = self.pdf.stream(FONT_FILE, &packed_file);
        stream.filter(Filter::FlateDecode).pair(Name(b"Length1"), font_file.len() as i32);
        stream.finish();

        let mut read_as = UnicodeCmap::new(font::CMAP_NAME, font::SYSTEM);
        for (number, c) in self.used.read_as() {
            read_as.pair(number, c);
        }
        let packed_map = packed(&read_as.finish());
        self.pdf.cmap(READ_AS, &packed_map).name(font::CMAP_NAME).system_info(font::SYSTEM).filter(Filter::FlateDecode);
    }
}

/// As `FlateDecode` reads it.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::default());
    // Memory takes every byte.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_else(|error| unreachable!("memory takes every byte: {error}"))
}
