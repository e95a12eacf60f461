//! Codes on paper and on screens: a sealed code as a QR symbol (SVG, PNG), and the sheets that partners print (PDF). Pure: no
//! clock, no HTTP, no keys; whoever asks has sealed the code and says what stands beside it.
//!
//! The parts: `symbol` what is in the square, and the two images; `sheet` what stands where on paper; `font` its letters, which
//! travel in the binary; `document` the PDF around them. See docs/decisions/printed-tickets.md.

mod document;
mod font;
mod sheet;
mod symbol;
#[cfg(test)]
mod tests;
mod validity;

pub use sheet::{Entry, PrintError, Printed, Sheet, pdf};
pub use symbol::{Symbol, SymbolError, png, svg};
pub use validity::Valid;
