//! The text of an id of 128 bits: base32 in Crockford's alphabet, whose texts sort like the ids.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a 128-bit id in base32.
pub const TEXT_LEN: usize = 26;

pub fn encode(bits: u128) -> [u8; TEXT_LEN] {
    let mut text = [b'0'; TEXT_LEN];
    let mut rest = bits;
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET.get((rest & 31) as usize).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    text
}

pub fn decode(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    // 26 characters hold 130 bits: the first may only use three of its five.
    if bytes.len() != TEXT_LEN || bytes.first().is_some_and(|first| *first > b'7') {
        return None;
    }
    bytes.iter().try_fold(0_u128, |bits, byte| Some(bits << 5 | u128::from(digit(*byte)?)))
}

/// The place of a letter in [`ALPHABET`].
fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'A'..=b'H' => Some(letter - b'A' + 10),
        b'J' | b'K' => Some(letter - b'J' + 18),
        b'M' | b'N' => Some(letter - b'M' + 20),
        b'P'..=b'T' => Some(letter - b'P' + 22),
        b'V'..=b'Z' => Some(letter - b'V' + 27),
        _ => None,
    }
}

/// The text of an id's bytes. `None`: they are none.
pub fn of_bytes(bytes: &[u8]) -> Option<[u8; TEXT_LEN]> {
    bytes.try_into().ok().map(|bytes| encode(u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_counts_as_much_as_its_place_in_the_alphabet() {
        for byte in 0..=u8::MAX {
            let place = ALPHABET.iter().position(|letter| *letter == byte);
            assert_eq!(digit(byte).map(usize::from), place, "{byte}");
        }
    }
}
