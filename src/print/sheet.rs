//! A printable sheet of tickets of one product: A4, two columns of blocks to be cut apart. A block has the QR symbol with its
//! quiet zone, 36 mm wide, and what people have to read: who sold it, what it is, what it gives the right to, until when,
//! and the ticket's code. What all tickets share is laid out and written once; a page only places it, which keeps 5,000
//! tickets small.

use deeptravel_domain::names::Names;
use deeptravel_domain::zone::Zone;
use pdf_writer::Content;

use super::document::{Document, FORM, PAGE_HEIGHT, PAGE_WIDTH, mm};
use super::font;
use super::symbol::{QUIET_MODULES, Symbol, SymbolError};
use super::validity::Valid;

/// What all tickets of a sheet share. Texts of any length and script: they are broken into lines, and what is cut off ends
/// with an ellipsis.
#[derive(Clone, Debug)]
pub struct Sheet<'a> {
    pub product: &'a Names,
    /// The partner's name.
    pub partner: &'a str,
    /// Whom the tickets are made for, where that is not the partner's own customer.
    pub reseller: Option<&'a str>,
    /// In which days begin and end.
    pub zone: &'a Zone,
    pub entitlements: Vec<Entry<'a>>,
}

/// An entitlement of one ticket.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub names: &'a Names,
    /// Uses.
    pub quantity: u16,
    pub valid: Valid,
}

/// One ticket.
#[derive(Clone)]
pub struct Printed {
    /// For people who cannot scan: they read or type it.
    pub ticket_code: String,
    pub symbol: Symbol,
}

/// A fault of this build, found by any test that prints.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    #[error("the font cannot be embedded: {0}")]
    Font(#[from] subsetter::Error),
    #[error("a code cannot be drawn: {0}")]
    Symbol(#[from] SymbolError),
}

const MARGIN: f32 = mm(10.0);
const GAP: f32 = mm(4.0);
/// Room for the page's number, below.
const FOOT: f32 = mm(5.0);
const COLUMNS: u16 = 2;
const BLOCK_WIDTH: f32 = (PAGE_WIDTH - 2.0 * MARGIN - GAP) / 2.0;
const BLOCK_HEIGHT_MAX: f32 = PAGE_HEIGHT - 2.0 * MARGIN - FOOT;
const PADDING: f32 = mm(3.5);
const INSIDE: f32 = BLOCK_WIDTH - 2.0 * PADDING;
/// With the quiet zone. A version 5 symbol then has modules of 0.8 mm, twice of what phones need at arm's length.
const SYMBOL_SIDE: f32 = mm(36.0);
const ASIDE_X: f32 = PADDING + SYMBOL_SIDE + mm(2.0);
const ASIDE_WIDTH: f32 = BLOCK_WIDTH - PADDING - ASIDE_X;
/// From one base line to the next, in sizes.
const LEADING: f32 = 1.3;
/// From the upper end of a line to its base line, in sizes.
const RISE: f32 = 0.95;
const CODE_SIZE: f32 = 7.5;
const SMALL: f32 = 7.0;
const GREY: f32 = 0.35;
const CUT_GREY: f32 = 0.6;

/// Lines that a name may take: of longer ones the rest is an ellipsis.
const NAME_LINES_MAX: usize = 3;

/// Writes the sheet as a PDF document. The tickets are asked for one after the other, and none is kept.
pub fn pdf(
    sheet: &Sheet<'_>,
    tickets: impl ExactSizeIterator<Item = Result<Printed, SymbolError>>,
) -> Result<Vec<u8>, PrintError> {
    let block = Block::of(sheet);
    let mut document = Document::begin(&format!("{} · {}", sheet.product.zh, sheet.product.en));
    block.write(&mut document);

    let rows = (((BLOCK_HEIGHT_MAX + GAP) / (block.height + GAP)) as u16).max(1);
    let places: Vec<(f32, f32)> = (0..rows)
        .flat_map(|row| (0..COLUMNS).map(move |column| (row, column)))
        .map(|(row, column)| {
            let down = f32::from(row) * (block.height + GAP) + block.height;
            (MARGIN + f32::from(column) * (BLOCK_WIDTH + GAP), PAGE_HEIGHT - MARGIN - down)
        })
        .collect();
    let pages = tickets.len().div_ceil(places.len()).max(1);
    let mut tickets = tickets;
    for page in 1..=pages {
        let mut content = Content::new();
        for (place, ticket) in places.iter().zip(tickets.by_ref()) {
            block.place(&ticket?, &mut document, &mut content, *place);
        }
        let number = format!("{page} / {pages}");
        let x = (PAGE_WIDTH - font::width(&number, SMALL)) / 2.0;
        document.text(&mut content, &number, SMALL, (x, MARGIN - FOOT / 2.0));
        document.page(content);
    }
    Ok(document.finish()?)
}

/// What a block looks like.
struct Block {
    lines: Vec<Line>,
    /// Of the symbol, from the block's upper edge.
    symbol_top: f32,
    height: f32,
}

struct Line {
    text: String,
    size: f32,
    grey: f32,
    x: f32,
    /// Of its base line, from the block's upper edge.
    down: f32,
}

impl Block {
    fn of(sheet: &Sheet<'_>) -> Block {
        let mut column = Column::at(PADDING, INSIDE, PADDING);
        column.add(sheet.partner, SMALL, GREY, 1);
        if let Some(reseller) = sheet.reseller {
            column.add(&format!("经销 Reseller: {reseller}"), SMALL, GREY, 1);
        }
        column.down += mm(1.0);
        column.add(&sheet.product.zh, 12.0, 0.0, NAME_LINES_MAX);
        column.add(&sheet.product.en, 9.0, 0.0, NAME_LINES_MAX);
        column.down += mm(1.5);

        let symbol_top = column.down;
        let mut aside = Column::at(ASIDE_X, ASIDE_WIDTH, symbol_top + mm(2.0));
        aside.entries(sheet);
        let down = aside.down.max(symbol_top + SYMBOL_SIDE) + mm(1.0);
        let height = down + CODE_SIZE * LEADING + PADDING;
        column.lines.append(&mut aside.lines);
        Block { lines: column.lines, symbol_top, height }
    }

    /// Everything but what differs: a border to cut along, and the texts.
    fn write(&self, document: &mut Document) {
        let mut content = Content::new();
        content.set_stroke_gray(CUT_GREY).set_line_width(0.4).set_dash_pattern([2.0, 2.0], 0.0);
        content.rect(0.5, 0.5, BLOCK_WIDTH - 1.0, self.height - 1.0).stroke();
        for line in &self.lines {
            content.set_fill_gray(line.grey);
            document.text(&mut content, &line.text, line.size, (line.x, self.height - line.down));
        }
        document.form(content, BLOCK_WIDTH, self.height);
    }

    /// `at`: the block's lower left corner.
    fn place(&self, ticket: &Printed, document: &mut Document, content: &mut Content, at: (f32, f32)) {
        content.save_state().transform([1.0, 0.0, 0.0, 1.0, at.0, at.1]).x_object(FORM);
        let code = format!("票号 Ticket: {}", ticket.ticket_code);
        document.text(content, &code, CODE_SIZE, (PADDING, PADDING));

        // One path, whatever its parts: no reader sees seams between rows.
        let module = SYMBOL_SIDE / f32::from(ticket.symbol.side());
        let top = self.height - self.symbol_top;
        content.transform([module, 0.0, 0.0, -module, PADDING, top]);
        for run in ticket.symbol.runs() {
            let (x, y) = (run.from + QUIET_MODULES, run.row + QUIET_MODULES);
            content.rect(f32::from(x), f32::from(y), f32::from(run.len), 1.0);
        }
        content.fill_nonzero().restore_state();
    }
}

/// Lines below each other.
struct Column {
    lines: Vec<Line>,
    x: f32,
    width: f32,
    down: f32,
}

impl Column {
    fn at(x: f32, width: f32, down: f32) -> Column {
        Column { lines: Vec::new(), x, width, down }
    }

    fn add(&mut self, text: &str, size: f32, grey: f32, lines_max: usize) {
        for text in broken(text, size, self.width, lines_max) {
            self.lines.push(Line { text, size, grey, x: self.x, down: self.down + RISE * size });
            self.down += LEADING * size;
        }
    }

    /// What the ticket gives the right to, and when: once, if it is the same for all.
    fn entries(&mut self, sheet: &Sheet<'_>) {
        let first = sheet.entitlements.first().map(|entry| entry.valid);
        let is_same = sheet.entitlements.iter().all(|entry| Some(entry.valid) == first);
        if let Some(valid) = first.filter(|_| is_same) {
            self.add("有效期 Valid", SMALL, GREY, 1);
            self.valid(valid, sheet.zone);
            self.down += mm(1.2);
        }
        for (at, entry) in sheet.entitlements.iter().enumerate() {
            let (lines, down) = (self.lines.len(), self.down);
            // The number first: whatever is cut off, it stays.
            self.add(&format!("{} × {}", entry.quantity, entry.names.zh), 8.5, 0.0, 2);
            if entry.names.en != entry.names.zh {
                self.add(&entry.names.en, SMALL, 0.0, 2);
            }
            if !is_same {
                self.valid(entry.valid, sheet.zone);
            }
            self.down += mm(0.8);
            // Below it a line that says how many more there are, and the ticket's code.
            if self.down + SMALL * LEADING + CODE_SIZE * LEADING + PADDING + mm(1.0) > BLOCK_HEIGHT_MAX {
                self.lines.truncate(lines);
                self.down = down;
                let more = sheet.entitlements.len() - at;
                return self.add(&format!("… 另有 {more} 项 / {more} more"), SMALL, 0.0, 1);
            }
        }
    }

    fn valid(&mut self, valid: Valid, zone: &Zone) {
        let Names { zh, en } = valid.words(zone);
        self.add(&zh, SMALL, GREY, 2);
        if en != zh {
            self.add(&en, SMALL, GREY, 2);
        }
    }
}

/// Breaks a text into lines: at blanks, before and after every wide character, and within what is too long for a line.
fn broken(text: &str, size: f32, width: f32, lines_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let Some(line) = lines.last_mut() else { break };
        let longer = format!("{line}{word}");
        if font::width(longer.trim_end(), size) <= width {
            *line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        for c in word.chars() {
            let Some(line) = lines.last_mut() else { break };
            line.push(c);
            if font::width(line, size) > width && line.chars().nth(1).is_some() {
                line.pop();
                lines.push(c.to_string());
            }
        }
    }
    if lines.len() > lines_max {
        lines.truncate(lines_max);
        if let Some(last) = lines.last_mut() {
            while font::width(&format!("{}…", last.trim_end()), size) > width && last.pop().is_some() {}
            *last = format!("{}…", last.trim_end());
        }
    }
    lines
}

/// What no line is broken in, if it fits one: a word with the blanks behind it, or a wide character with the closing marks
/// that follow it.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut begin, mut before) = (0, None);
    for (at, c) in text.char_indices() {
        let breaks = match before {
            None => false,
            Some(before) if is_closing(c) || is_opening(before) || c.is_whitespace() => false,
            Some(before) => before.is_whitespace() || is_wide(before) || is_wide(c),
        };
        if breaks {
            words.push(&text[begin..at]);
            begin = at;
        }
        before = Some(c);
    }
    words.push(&text[begin..]);
    words
}

fn is_wide(c: char) -> bool {
    c >= '\u{2E80}'
}

fn is_opening(c: char) -> bool {
    matches!(c, '（' | '「' | '『' | '《' | '〈' | '【' | '“' | '(' | '[')
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '）' | '」'
            | '』'
            | '》'
            | '〉'
            | '】'
            | '”'
            | '，'
            | '。'
            | '、'
            | '；'
            | '：'
            | '！'
            | '？'
            | ')'
            | ']'
    )
}
