//! What is drawn is read again, by decoders that know nothing of us: rqrr, and poppler's `pdftoppm` and `pdftotext`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use deeptravel_domain::code::{ORDER_CODE_TEXT_LEN, TICKET_CODE_TEXT_LEN};
use deeptravel_domain::names::Names;
use deeptravel_domain::package::{Bound, StartsAt, Validity};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::zone::Zone;
use image::GrayImage;

use super::*;

/// A text such as [`deeptravel_domain::code::seal`] makes: base45 of random bytes, another for each seed.
fn code(len: usize, seed: usize) -> String {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    let mut state = seed as u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(ALPHABET[(state >> 33) as usize % ALPHABET.len()])
    };
    "DT1".chars().chain(std::iter::from_fn(|| Some(random()))).take(len).collect()
}

/// The symbols in an image, read by a foreign decoder. Where there are several it also tries squares that are parts of two.
fn read(image: &GrayImage) -> Vec<(rqrr::MetaData, String)> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let at = |x: usize, y: usize| image.get_pixel(x as u32, y as u32).0[0];
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, at);
    prepared.detect_grids().iter().filter_map(|grid| grid.decode().ok()).collect()
}

fn decoded_png(png: &[u8]) -> GrayImage {
    image::load_from_memory(png).unwrap().to_luma8()
}

/// Fills the rectangles of the path, as a browser would: `M` to a corner, then as wide as `h` and as high as `v` says.
fn drawn_svg(svg: &str, module: u32) -> GrayImage {
    let side: u32 = svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let mut image = GrayImage::from_pixel(side * module, side * module, image::Luma([255]));
    let path = svg.rsplit("d=\"").next().unwrap().split('"').next().unwrap();
    for part in path.split('M').skip(1) {
        let numbers: Vec<u32> =
            part.split([' ', 'h', 'v', 'z', '-']).filter_map(|number| number.parse().ok()).collect();
        let [x, y, width, height, _] = numbers[..] else { panic!("{part} is no rectangle") };
        for (dx, dy) in (0..width * module).flat_map(|dx| (0..height * module).map(move |dy| (dx, dy))) {
            image.put_pixel(x * module + dx, y * module + dy, image::Luma([0]));
        }
    }
    image
}

/// What a program makes of a document on its standard input.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("poppler-utils");
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} refuses the document");
    output.stdout
}

fn pages_of(pdf: &[u8]) -> Vec<String> {
    let text = String::from_utf8(piped("pdftotext", &["-layout", "-", "-"], pdf)).unwrap();
    text.split_terminator('\u{c}').map(str::to_owned).collect()
}

/// As paper has it, at 150 dots per inch: a middling office printer.
fn page_image(pdf: &[u8], page: usize) -> GrayImage {
    let page = page.to_string();
    decoded_png(&piped("pdftoppm", &["-r", "150", "-gray", "-png", "-f", &page, "-l", &page], pdf))
}

/// What is read where a reader looks: at a column, and in it at 75 mm, which contain any symbol whole.
fn read_page(page: &GrayImage) -> BTreeSet<String> {
    let (width, height) = (page.width() / 2, page.height() / 4);
    let places = [0, width].into_iter().flat_map(|x| (0..10).map(move |step| (x, step * height / 3)));
    let views =
        places.map(|(x, y)| image::imageops::crop_imm(page, x, y, width, height.min(page.height() - y)).to_image());
    views.flat_map(|view| read(&view)).map(|(_, text)| text).collect()
}

fn names(zh: &str, en: &str) -> Names {
    Names::new(zh, en)
}

fn day(text: &str) -> Bound {
    text.parse().unwrap()
}

fn instant(text: &str) -> Timestamp {
    Timestamp::from_jiff(text.parse().unwrap())
}

fn season() -> Valid {
    Valid::Promised(Validity::Absolute { from: day("2026-12-01"), until: day("2027-03-31") })
}

fn tickets(count: usize) -> impl ExactSizeIterator<Item = Printed> {
    (0..count).map(|n| Printed {
        ticket_code: format!("019a2b3c-4d5e-8000-8123-4567{n:08x}"),
        symbol: Symbol::of(&code(ORDER_CODE_TEXT_LEN, n)).unwrap(),
    })
}

#[test]
fn r_ticket_04_a_code_is_a_small_symbol_that_a_foreign_reader_reads_in_both_formats() {
    for (len, version) in [(ORDER_CODE_TEXT_LEN, 5), (TICKET_CODE_TEXT_LEN, 8)] {
        for seed in 0..8 {
            let code = code(len, seed);
            let symbol = Symbol::of(&code).unwrap();
            assert_eq!(symbol.width(), 17 + 4 * version);
            for image in [decoded_png(&png(&symbol, 4).unwrap()), drawn_svg(&svg(&symbol), 4)] {
                let [(meta, text)] = &read(&image)[..] else { panic!("one symbol") };
                assert_eq!((&code, meta.version.0), (text, version));
            }
        }
    }
}

#[test]
fn a_symbol_has_the_strongest_repair_that_costs_no_larger_version() {
    let repair = |text: &str| read(&decoded_png(&png(&Symbol::of(text).unwrap(), 4).unwrap()))[0].0.ecc_level;
    // As the standard numbers them: 0 is M, 1 L, 2 H, 3 Q.
    assert_eq!(repair("DT1"), 2, "version 1 has room for it");
    assert_eq!(repair(&code(90, 1)), 0, "version 4 is full");
    assert!(Symbol::of(&code(4_000, 1)).is_err(), "no symbol is so large");
}

#[test]
fn r_ota_04_a_sheet_has_every_ticket_with_its_symbol_and_what_people_read() {
    let (product, ride, meal) = (
        names("澳门套票（成人）", "Macau Pass (adult)"),
        names("金光飞航 船票", "Ferry ride"),
        names("葡式蛋挞", "Egg tart"),
    );
    let zone = Zone::of_sale();
    let entry = |names, quantity| Entry { names, quantity, valid: season() };
    let entitlements = vec![entry(&ride, 2), entry(&meal, 1)];
    let sheet = Sheet {
        product: &product,
        partner: "环球旅行社 Globe",
        reseller: Some("深水埗旅遊"),
        zone: &zone,
        entitlements,
    };
    let pdf = pdf(&sheet, tickets(13).map(Ok)).unwrap();

    let pages = pages_of(&pdf);
    let text = pages.concat();
    for expected in [
        "澳门套票（成人）",
        "Macau Pass (adult)",
        "2 × 金光飞航 船票",
        "1 × 葡式蛋挞",
        "环球旅行社 Globe",
        "深水埗旅遊",
    ] {
        assert_eq!(text.matches(expected).count(), 13, "{expected}");
    }
    assert_eq!(text.matches("2026-12-01 – 2027-03-31").count(), 13, "the last day is the one that people may come on");
    let read: BTreeSet<String> = (1..=pages.len()).flat_map(|page| read_page(&page_image(&pdf, page))).collect();
    assert_eq!(read, (0..13).map(|n| code(ORDER_CODE_TEXT_LEN, n)).collect());
    for ticket in tickets(13) {
        assert_eq!(text.matches(&ticket.ticket_code).count(), 1);
    }
}

#[test]
fn what_the_font_lacks_is_shown_as_a_box_and_what_is_too_long_ends_with_an_ellipsis() {
    assert!("中文繁體埗涌鰂裏é€×…".chars().all(font::has));
    let product = names("𠮷野家 👪", &"an endless name ".repeat(40));
    let endless = names(&"无".repeat(400), "W".repeat(400).as_str());
    let zone = Zone::of_sale();
    let entitlements = vec![Entry { names: &endless, quantity: 500, valid: season() }; 32];
    let sheet = Sheet { product: &product, partner: "\u{202E}\n", reseller: None, zone: &zone, entitlements };
    let pages = pages_of(&pdf(&sheet, tickets(3).map(Ok)).unwrap());
    assert_eq!(pages.len(), 2, "two columns");
    assert!(pages[0].contains("\u{FFFD}野家 \u{FFFD}"), "{}", pages[0]);
    assert!(pages[0].contains('…'));
    assert!(pages[0].contains("more"), "entitlements that a page has no room for are counted");
}

#[test]
fn each_entitlement_says_when_it_is_valid_where_they_differ() {
    let (pass, bus) = (names("通票", "Pass"), names("巴士", "Bus"));
    let zone = Zone::of_sale();
    let relative = |days, starts, until| Valid::Promised(Validity::Relative { days, starts, until });
    let entitlements = vec![
        Entry { names: &pass, quantity: 1, valid: relative(30, StartsAt::Payment, None) },
        Entry { names: &bus, quantity: 3, valid: relative(1, StartsAt::FirstUse, Some(day("2027-06-30"))) },
        Entry {
            names: &pass,
            quantity: 1,
            valid: Valid::Between { from: instant("2026-12-01T01:30:00Z"), until: instant("2026-12-31T16:00:00Z") },
        },
    ];
    let sheet = Sheet { product: &pass, partner: "Globe", reseller: None, zone: &zone, entitlements };
    let text = pages_of(&pdf(&sheet, tickets(1).map(Ok)).unwrap()).concat();
    let expected = [
        "自激活之日起 30 天内",
        "30 days from activation",
        "1 day from first use",
        "2027-06-30",
        "2026-12-01 09:30 – 2026-12-31",
    ];
    for expected in expected {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// `count` tickets as a sheet, and how long that took besides drawing their symbols.
fn printed(count: usize) -> (Vec<u8>, std::time::Duration) {
    let (product, ride) = (names("澳门套票", "Macau Pass"), names("船票", "Ferry ride"));
    let zone = Zone::of_sale();
    let entitlements = vec![Entry { names: &ride, quantity: 2, valid: season() }];
    let sheet = Sheet { product: &product, partner: "Globe", reseller: None, zone: &zone, entitlements };
    let began = std::time::Instant::now();
    (pdf(&sheet, tickets(count).map(Ok)).unwrap(), began.elapsed())
}

#[test]
fn the_font_is_embedded_once_and_a_ticket_takes_less_than_a_kilobyte() {
    let (one, few, more) = (printed(1).0.len(), printed(16).0.len(), printed(80).0.len());
    assert!(one < 40_000, "{one} bytes for one ticket");
    assert!(more - few < 64 * 1_000, "{} bytes for 64 more", more - few);
}

#[test]
#[ignore = "a figure, for docs/decisions/printed-tickets.md; it takes a minute without --release"]
fn figure_of_5_000_tickets() {
    let (pdf, took) = printed(5_000);
    println!("5,000 tickets: {} bytes in {took:?}", pdf.len());
}
