//! What people type and paste: names, notes and telephone numbers. The one place that says what can be read in a text, by
//! Unicode's own tables; lengths are whoever's who asks.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Longest telephone number as it is kept, in characters: 15 digits (E.164) with separators.
pub const PHONE_CHARS_MAX: usize = 32;
/// Fewer digits are no number: the shortest that people have are emergency numbers.
const PHONE_DIGITS_MIN: usize = 3;

/// Whether there is nothing in it that can be seen.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_control() || c.is_whitespace() || is_mark(c))
}

/// Whether it has characters that steer what shows it: control characters, and those that turn the direction of writing, with
/// which a name can look like another.
pub fn has_controls(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || turns_direction(c))
}

/// A telephone number in digits, `+`, `-`, `(`, `)` and blanks; `None` if it is none. Pages and other apps hand numbers on with
/// invisible marks, no-break blanks, typographic hyphens, or full-width: these are read as what they stand for.
pub fn telephone(given: &str) -> Option<Box<str>> {
    let plain = if given.is_ascii() { Cow::Borrowed(given) } else { given.chars().filter_map(plain).collect() };
    let number = plain.trim();
    let of_a_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b' ' | b'(' | b')');
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let fits = number.len() <= PHONE_CHARS_MAX && digits >= PHONE_DIGITS_MIN && number.bytes().all(of_a_number);
    fits.then(|| number.into())
}

/// What a character of a number stands for; `None`: nothing.
fn plain(c: char) -> Option<char> {
    /// From a full-width character to the one of ASCII.
    const WIDE: u32 = '！' as u32 - '!' as u32;
    match c {
        '！'..='～' => char::from_u32(c as u32 - WIDE),
        // Minus, and a bullet that is used as a hyphen.
        '\u{2212}' | '\u{2043}' => Some('-'),
        _ if c.is_control() => Some(c),
        _ if c.is_whitespace() => Some(' '),
        _ if is_mark(c) => None,
        _ if c.general_category() == GeneralCategory::DashPunctuation => Some('-'),
        _ => Some(c),
    }
}

/// Whether a character cannot be seen by itself: what joins, parts, varies or accents others, and letters that are blank.
fn is_mark(c: char) -> bool {
    // Most characters of most names, without a look into the tables.
    if c.is_ascii() {
        return false;
    }
    let joins = matches!(
        c.general_category(),
        GeneralCategory::Format | GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
    );
    // The fillers of Hangul, and Braille without a dot.
    joins || matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}')
}

/// Unicode's `Bidi_Control`.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_17_a_text_of_nothing_that_can_be_seen_is_blank() {
        let blank = [
            "",
            " \t\n",
            "\u{a0}\u{3000}",
            "\u{200B}",
            "\u{FEFF}\u{2060}",
            "\u{AD}",
            "\u{3164}\u{115F}\u{1160}\u{FFA0}",
            "\u{2800}",
            "\u{FE0F}\u{200D}",
            "\u{E0041}\u{E007F}",
            "\u{E0100}",
            "\u{301}",
            "\u{202E}",
            "\0",
        ];
        for text in blank {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["x", ".", "陈", " 大 ", "é", "\u{5d0}", "नि", "\u{FFFD}", "👪", "\u{E000}"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn fault_17_what_turns_the_direction_of_writing_is_a_control() {
        for c in "\u{061C}\u{200E}\u{200F}\u{202A}\u{202B}\u{202C}\u{202D}\u{202E}\u{2066}\u{2067}\u{2068}\u{2069}\0\n"
            .chars()
        {
            assert!(has_controls(&format!("Mei{c} Chan")), "{c:?}");
        }
        // Letters that are written from right to left need none; joiners are part of how names are written.
        for name in ["محمد", "דוד", "می\u{200c}خواهم", "ක්\u{200d}ර", "陈大文", "Zoë"] {
            assert!(!has_controls(name), "{name:?}");
        }
    }

    #[test]
    fn fault_17_a_telephone_number_is_read_however_it_was_pasted() {
        let plain = "+852 5555-0123";
        let pasted = [
            "+852 5555-0123",
            " +852 5555-0123\n",
            "\u{202A}+852 5555-0123\u{202C}",
            "\u{FEFF}+852\u{200B} 5555-0123",
            "+852\u{a0}5555-0123",
            "+852\u{202F}5555\u{2011}0123",
            "+852\u{3000}5555\u{2013}0123",
            "+852 5555\u{2010}0123",
            "+852 5555\u{2212}0123",
            "＋８５２ ５５５５－０１２３",
            "\u{200E} +852 5555-0123 \u{200F}",
        ];
        for given in pasted {
            assert_eq!(telephone(given).as_deref(), Some(plain), "{given:?}");
        }
        assert_eq!(telephone("（０２０）８１２３　４５６７").as_deref(), Some("(020)8123 4567"));
        let marks = format!("{}852{}", "\u{200B}".repeat(40), "\u{FE0F}".repeat(40));
        assert_eq!(telephone(&marks).as_deref(), Some("852"), "its length is that of what is kept");
    }

    #[test]
    fn what_is_no_telephone_number_is_none() {
        let long = "1".repeat(PHONE_CHARS_MAX + 1);
        for given in
            ["", "12", "call me", "\u{200B}", "+852\t5555", "1234\0", "１２", "852.5555", "八五二", "ｃａｌｌ", &long]
        {
            assert_eq!(telephone(given), None, "{given:?}");
        }
    }
}
