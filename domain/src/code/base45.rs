//! Base45 (RFC 9285): two bytes are a number of three digits, the lowest first, and a byte that is left over is one of two.
//! Every scan reads one, so each digit is looked up, not searched for.

/// The digits, in the order of their values.
const DIGITS: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/// The value of what is no digit: with it, every number is too large.
const NO_DIGIT: u32 = u16::MAX as u32 + 1;

/// What each character stands for.
#[allow(clippy::indexing_slicing)] // while compiling: every digit is a character
const VALUES: [u32; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u32;
        value += 1;
    }
    values
};

/// Appends the text of some bytes.
pub fn encode(bytes: &[u8], text: &mut Vec<u8>) {
    let (pairs, left_over) = bytes.as_chunks();
    for pair in pairs {
        let number = u16::from_be_bytes(*pair);
        text.extend_from_slice(&[digit(number), digit(number / 45), digit(number / 45 / 45)]);
    }
    for byte in left_over {
        text.extend_from_slice(&[digit((*byte).into()), digit(u16::from(*byte) / 45)]);
    }
}

/// The bytes of a text; `None` if it is none of base45.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (triples, left_over) = text.as_chunks();
    let mut bytes = Vec::with_capacity(triples.len() * 2 + 1);
    for [low, middle, high] in triples {
        let number = value(*low) + value(*middle) * 45 + value(*high) * 45 * 45;
        bytes.extend_from_slice(&u16::try_from(number).ok()?.to_be_bytes());
    }
    match left_over {
        [] => {}
        [low, high] => bytes.push(u8::try_from(value(*low) + value(*high) * 45).ok()?),
        _ => return None,
    }
    Some(bytes)
}

/// The lowest digit of a number.
fn digit(number: u16) -> u8 {
    DIGITS.get(usize::from(number % 45)).copied().unwrap_or_default()
}

fn value(character: u8) -> u32 {
    VALUES.get(usize::from(character)).copied().unwrap_or(NO_DIGIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        encode(bytes, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, text) in
            [("AB", "BB8"), ("Hello!!", "%69 VD92EX0"), ("base-45", "UJCLQE7W581"), ("ietf!", "QED8WEX0")]
        {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(decode(b"GGW"), None, "65536");
    }

    #[test]
    fn every_two_bytes_have_the_text_that_the_library_writes() {
        for number in 0..=u16::MAX {
            let bytes = number.to_be_bytes();
            assert_eq!(encoded(&bytes), ::base45::encode(bytes));
            assert_eq!(encoded(&bytes[..1]), ::base45::encode(&bytes[..1]));
        }
        let odd: Vec<u8> = (0..=254).collect();
        assert_eq!(encoded(&odd), ::base45::encode(&odd));
    }

    #[test]
    fn every_text_is_read_and_refused_as_by_the_library() {
        // Every digit, and what stands next to one or above all of them.
        let characters: Vec<u8> = DIGITS.iter().copied().chain(*b"\0!#,;@[az\x7f\x80\xff").collect();
        for low in &characters {
            for middle in &characters {
                for high in &characters {
                    let text = [*low, *middle, *high];
                    assert_eq!(decode(&text), ::base45::decode(text).ok(), "{text:?}");
                }
            }
        }
        for text in [&b""[..], b"0", b"0000", b"BB8BB8", b"BB8:::BB8", b"::8", &[b'0'; 218]] {
            let expected = ::base45::decode(text).ok();
            assert_eq!(decode(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_byte_that_is_left_over_is_none_above_255() {
        let digits = |low: usize, high: usize| [DIGITS[low], DIGITS[high]];
        for (low, high) in (0..45).flat_map(|low| (0..45).map(move |high| (low, high))) {
            let byte = u8::try_from(low + high * 45).ok();
            assert_eq!(decode(&digits(low, high)), byte.map(|byte| vec![byte]), "the library takes the low byte");
        }
    }
}
