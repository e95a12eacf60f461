//! Reads what is printed, by decoders that know nothing of us: rqrr, and poppler's `pdftoppm`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use image::GrayImage;

/// The text of the symbols in an image, each once.
fn read(image: &GrayImage) -> BTreeSet<String> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let at = |x: usize, y: usize| image.get_pixel(x as u32, y as u32).0[0];
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, at);
    prepared.detect_grids().iter().filter_map(|grid| Some(grid.decode().ok()?.1)).collect()
}

fn only(texts: BTreeSet<String>) -> String {
    let mut texts = texts.into_iter();
    let text = texts.next().expect("a symbol");
    assert_eq!(texts.next(), None);
    text
}

/// What the symbol says that an image is.
pub fn of_png(png: &[u8]) -> String {
    only(read(&image::load_from_memory(png).unwrap().to_luma8()))
}

/// As [`of_png`]. Fills the rectangles of its path, as a browser would: `M` to a corner, then as wide as `h` and as high as `v`
/// says.
pub fn of_svg(svg: &[u8]) -> String {
    const MODULE: u32 = 4;
    let svg = std::str::from_utf8(svg).unwrap();
    let side: u32 = svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let mut image = GrayImage::from_pixel(side * MODULE, side * MODULE, image::Luma([255]));
    let path = svg.rsplit("d=\"").next().unwrap().split('"').next().unwrap();
    for part in path.split('M').skip(1) {
        let numbers: Vec<u32> =
            part.split([' ', 'h', 'v', 'z', '-']).filter_map(|number| number.parse().ok()).collect();
        let [x, y, width, height, _] = numbers[..] else { panic!("{part} is no rectangle") };
        for (dx, dy) in (0..width * MODULE).flat_map(|dx| (0..height * MODULE).map(move |dy| (dx, dy))) {
            image.put_pixel(x * MODULE + dx, y * MODULE + dy, image::Luma([0]));
        }
    }
    only(read(&image))
}

/// Dots an inch: a reader comes closer when it sees nothing.
const DOTS: [&str; 3] = ["150", "200", "300"];

/// What the symbols say on the first page of a document, read where a reader looks: at a column, and in it at 75 mm.
pub fn of_pdf(pdf: &[u8]) -> BTreeSet<String> {
    DOTS.into_iter().flat_map(|dots| seen(pdf, dots)).collect()
}

fn seen(pdf: &[u8], dots: &str) -> BTreeSet<String> {
    let mut command = Command::new("pdftoppm");
    command.args(["-r", dots, "-gray", "-png", "-f", "1", "-l", "1"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("poppler-utils");
    let (mut stdin, input) = (child.stdin.take().unwrap(), pdf.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "pdftoppm refuses the document");

    let page = image::load_from_memory(&output.stdout).unwrap().to_luma8();
    let (width, height) = (page.width() / 2, page.height() / 4);
    let places = [0, width].into_iter().flat_map(|x| (0..10).map(move |step| (x, step * height / 3)));
    let views =
        places.map(|(x, y)| image::imageops::crop_imm(&page, x, y, width, height.min(page.height() - y)).to_image());
    views.flat_map(|view| read(&view)).collect()
}
