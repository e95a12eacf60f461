//! Encryption with versioned keys, and documents sealed with it (rule 8, R-ADMIN-11).
//!
//! AES-256-GCM: what was altered does not open. The nonce is an argument; with chance for nonces a key must seal
//! fewer than 2³² times, so keys are rotated long before. The newest document key seals and every one opens, so rotation
//! breaks nothing that is stored. Secrets of partners' webhooks are sealed with the same keys. Codes ([`crate::code`]) have
//! keys of their own, with times, and, should somebody configure the same key twice, different associated data: one never
//! opens as the other.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of the proof that nothing was altered.
pub(crate) const TAG_LEN: usize = 16;

/// Longest document number that is sealed, in bytes: far above any travel document, so that a row stays small.
pub const DOCUMENT_NUMBER_LEN_MAX: usize = 128;
/// Most characters of a document number that its mask shows.
const MASK_CLEAR_MAX: usize = 4;
/// Says how a sealed document is laid out, so that another layout can follow.
const DOCUMENT_FORMAT: u8 = 1;
const DOCUMENT_DOMAIN: &[u8] = b"deeptravel/document";
/// The same for a sealed secret.
const SECRET_FORMAT: u8 = 1;
const SECRET_DOMAIN: &[u8] = b"deeptravel/webhook-secret";

/// A set of keys that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    #[error("there is no key")]
    Empty,
    #[error("there are two keys of version {0}")]
    Repeated(u32),
    #[error("the key of version {0} is all zero")]
    Zero(u32),
}

/// The keys of document numbers (`secrets.document_keys_file`) by version, prepared once. Never shown.
pub struct DocumentKeys {
    newest: (u32, LessSafeKey),
    older: Vec<(u32, LessSafeKey)>,
}

impl DocumentKeys {
    /// The highest version seals. Errors: no key, a version twice, a key of zeros.
    pub fn new(keys: impl IntoIterator<Item = (u32, [u8; KEY_LEN])>) -> Result<DocumentKeys, KeyRingError> {
        let mut older: Vec<(u32, LessSafeKey)> = Vec::new();
        for (version, key) in keys {
            if older.iter().any(|(other, _)| *other == version) {
                return Err(KeyRingError::Repeated(version));
            }
            if key == [0; KEY_LEN] {
                return Err(KeyRingError::Zero(version));
            }
            older.push((version, prepare(&key)));
        }
        older.sort_by_key(|(version, _)| *version);
        let newest = older.pop().ok_or(KeyRingError::Empty)?;
        Ok(DocumentKeys { newest, older })
    }

    fn of_version(&self, version: u32) -> Option<&LessSafeKey> {
        self.older.iter().chain([&self.newest]).find(|(other, _)| *other == version).map(|(_, key)| key)
    }
}

impl fmt::Debug for DocumentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<u32> = self.older.iter().chain([&self.newest]).map(|(version, _)| *version).collect();
        write!(f, "DocumentKeys(keys of versions {versions:?})")
    }
}

pub(crate) fn prepare(key: &[u8; KEY_LEN]) -> LessSafeKey {
    let Ok(key) = UnboundKey::new(&AES_256_GCM, key) else { unreachable!("AES-256 takes every key of 32 bytes") };
    LessSafeKey::new(key)
}

/// Encrypts `text` where it stands and returns its tag.
pub(crate) fn seal_in_place(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    associated: &[u8],
    text: &mut [u8],
) -> [u8; TAG_LEN] {
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), text)
        .ok()
        .and_then(|tag| tag.as_ref().first_chunk().copied());
    // AES-GCM refuses only texts of many gigabytes; ours are bounded by constants.
    let Some(tag) = tag else { unreachable!("a short text can be sealed") };
    tag
}

/// Decrypts a text that is followed by its tag, where it stands; `None` if anything was altered.
pub(crate) fn open_in_place<'text>(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    associated: &[u8],
    text_and_tag: &'text mut [u8],
) -> Option<&'text [u8]> {
    let opened = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(associated), text_and_tag);
    opened.ok().map(|text| &*text)
}

/// A travel document, sealed before it came here: nothing behind this point ever sees the number (rule 8).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SealedDocument {
    pub kind: Box<str>,
    pub key_version: u32,
    pub ciphertext: Box<[u8]>,
    /// Last characters in clear, the rest starred.
    pub mask: Box<str>,
}

/// Seals a document number: from here on only its mask is in clear. The caller has bounded `number` by
/// [`DOCUMENT_NUMBER_LEN_MAX`]. `nonce` must be fresh for every call.
///
/// The ciphertext is a format byte, the nonce, the encrypted number and the tag; the kind and the key's version are
/// authenticated with it.
pub fn seal_document(keys: &DocumentKeys, kind: &str, number: &str, nonce: [u8; NONCE_LEN]) -> SealedDocument {
    debug_assert!(number.len() <= DOCUMENT_NUMBER_LEN_MAX, "the edge bounds document numbers");
    let (key_version, key) = &keys.newest;
    let mut text = number.as_bytes().to_vec();
    let tag = seal_in_place(key, nonce, &document_associated(*key_version, kind), &mut text);
    let ciphertext = [&[DOCUMENT_FORMAT][..], &nonce, &text, &tag].concat().into();
    SealedDocument { kind: kind.into(), key_version: *key_version, ciphertext, mask: mask(number).into() }
}

/// A secret that we share with somebody, at rest. Nobody sees it but whoever has the keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedSecret {
    pub key_version: u32,
    pub ciphertext: Box<[u8]>,
}

/// A sealed secret that does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("there is no document key of version {0}")]
    UnknownKey(u32),
    #[error("the sealed secret was altered, or is somebody else's")]
    Altered,
}

/// Seals a secret, laid out as a document. `owner`, with whom we share it, is authenticated with it: put into another's
/// row it does not open. `nonce` must be fresh for every call.
pub fn seal_secret(keys: &DocumentKeys, owner: &str, secret: &[u8], nonce: [u8; NONCE_LEN]) -> SealedSecret {
    let (key_version, key) = &keys.newest;
    let mut text = secret.to_vec();
    let tag = seal_in_place(key, nonce, &secret_associated(*key_version, owner), &mut text);
    let ciphertext = [&[SECRET_FORMAT][..], &nonce, &text, &tag].concat().into();
    SealedSecret { key_version: *key_version, ciphertext }
}

/// What [`seal_secret`] has sealed.
pub fn open_secret(keys: &DocumentKeys, owner: &str, sealed: &SealedSecret) -> Result<Vec<u8>, SecretError> {
    let version = sealed.key_version;
    let key = keys.of_version(version).ok_or(SecretError::UnknownKey(version))?;
    let (format, rest) = sealed.ciphertext.split_first().ok_or(SecretError::Altered)?;
    let (nonce, text_and_tag) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SecretError::Altered)?;
    if *format != SECRET_FORMAT {
        return Err(SecretError::Altered);
    }
    let mut text = text_and_tag.to_vec();
    let opened = open_in_place(key, *nonce, &secret_associated(version, owner), &mut text);
    opened.map(<[u8]>::to_vec).ok_or(SecretError::Altered)
}

fn secret_associated(key_version: u32, owner: &str) -> Vec<u8> {
    [SECRET_DOMAIN, &[SECRET_FORMAT], &key_version.to_be_bytes(), owner.as_bytes()].concat()
}

fn document_associated(key_version: u32, kind: &str) -> Vec<u8> {
    [DOCUMENT_DOMAIN, &[DOCUMENT_FORMAT], &key_version.to_be_bytes(), kind.as_bytes()].concat()
}

/// The last four characters in clear, but never more than half of them; `*` for every other.
fn mask(number: &str) -> String {
    let characters = number.chars().count();
    let hidden = characters - (characters / 2).min(MASK_CLEAR_MAX);
    number.chars().enumerate().map(|(index, character)| if index < hidden { '*' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: [u8; NONCE_LEN] = [9; NONCE_LEN];

    /// A sealed document that does not open.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    enum DocumentError {
        #[error("there is no document key of version {0}")]
        UnknownKey(u32),
        #[error("the sealed document was altered")]
        Altered,
    }

    /// The document number, for those who may see it: nobody asks for it yet.
    fn open_document(keys: &DocumentKeys, document: &SealedDocument) -> Result<String, DocumentError> {
        let key = keys.of_version(document.key_version).ok_or(DocumentError::UnknownKey(document.key_version))?;
        let (format, rest) = document.ciphertext.split_first().ok_or(DocumentError::Altered)?;
        let (nonce, text_and_tag) = rest.split_first_chunk::<NONCE_LEN>().ok_or(DocumentError::Altered)?;
        if *format != DOCUMENT_FORMAT {
            return Err(DocumentError::Altered);
        }
        let associated = document_associated(document.key_version, &document.kind);
        let mut text = text_and_tag.to_vec();
        let number = open_in_place(key, *nonce, &associated, &mut text).ok_or(DocumentError::Altered)?;
        std::str::from_utf8(number).map(str::to_owned).map_err(|_| DocumentError::Altered)
    }

    fn keys(versions: &[u8]) -> DocumentKeys {
        DocumentKeys::new(versions.iter().map(|version| (u32::from(*version), [*version; KEY_LEN]))).unwrap()
    }

    #[test]
    fn r_admin_11_a_sealed_document_shows_its_last_four_characters_and_at_most_half() {
        for (number, shown) in [
            ("C12345678", "*****5678"),
            ("H1234567(8)", "*******7(8)"),
            ("123456", "***456"),
            ("12345", "***45"),
            ("1", "*"),
            ("", ""),
            ("護照號碼", "**號碼"),
        ] {
            let sealed = seal_document(&keys(&[1]), "passport", number, NONCE);
            assert_eq!(&*sealed.mask, shown);
            assert_eq!(open_document(&keys(&[1]), &sealed).as_deref(), Ok(number));
        }
    }

    #[test]
    fn r_admin_11_nothing_of_the_number_is_left_in_the_ciphertext() {
        let sealed = seal_document(&keys(&[1]), "passport", "C12345678", NONCE);
        assert!(!sealed.ciphertext.windows(3).any(|part| "C12345678".as_bytes().windows(3).any(|clear| clear == part)));
        assert!(!format!("{sealed:?} {:?}", keys(&[1])).contains("C1234"));
    }

    #[test]
    fn a_document_sealed_before_a_rotation_still_opens_and_a_lost_key_is_named() {
        let sealed = seal_document(&keys(&[1]), "passport", "C12345678", NONCE);
        assert_eq!(open_document(&keys(&[1, 2]), &sealed).as_deref(), Ok("C12345678"));
        assert_eq!(seal_document(&keys(&[2, 1]), "passport", "C1", NONCE).key_version, 2, "the newest seals");
        assert_eq!(open_document(&keys(&[2]), &sealed), Err(DocumentError::UnknownKey(1)));
    }

    #[test]
    fn a_document_with_any_bit_or_its_kind_or_version_altered_does_not_open() {
        let keys = keys(&[1, 2]);
        let sealed = seal_document(&keys, "passport", "C12345678", NONCE);
        for bit in 0..sealed.ciphertext.len() * 8 {
            let mut altered = sealed.clone();
            altered.ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_document(&keys, &altered), Err(DocumentError::Altered), "bit {bit}");
        }
        for len in 0..sealed.ciphertext.len() {
            let altered = SealedDocument { ciphertext: sealed.ciphertext[..len].into(), ..sealed.clone() };
            assert_eq!(open_document(&keys, &altered), Err(DocumentError::Altered), "cut to {len}");
        }
        let other_kind = SealedDocument { kind: "home_return".into(), ..sealed.clone() };
        assert_eq!(open_document(&keys, &other_kind), Err(DocumentError::Altered));
        let other_version = SealedDocument { key_version: 1, ..sealed };
        assert_eq!(open_document(&keys, &other_version), Err(DocumentError::Altered));
    }

    #[test]
    fn r_ota_09_a_secret_opens_for_its_owner_as_it_was_sealed_and_survives_a_rotation_of_keys() {
        let sealed = seal_secret(&keys(&[1]), "partner-a", b"secret", NONCE);
        assert_eq!(open_secret(&keys(&[1, 2]), "partner-a", &sealed).as_deref(), Ok(&b"secret"[..]));
        assert_eq!(open_secret(&keys(&[1]), "partner-b", &sealed), Err(SecretError::Altered));
        assert_eq!(open_secret(&keys(&[2]), "partner-a", &sealed), Err(SecretError::UnknownKey(1)));
        for bit in 0..sealed.ciphertext.len() * 8 {
            let mut altered = sealed.clone();
            altered.ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_secret(&keys(&[1]), "partner-a", &altered), Err(SecretError::Altered), "bit {bit}");
        }
    }

    #[test]
    fn a_ring_has_a_key_and_no_version_twice_and_never_shows_one() {
        assert_eq!(DocumentKeys::new([]).err(), Some(KeyRingError::Empty));
        assert_eq!(DocumentKeys::new([(1, [1; KEY_LEN]), (1, [2; KEY_LEN])]).err(), Some(KeyRingError::Repeated(1)));
        assert_eq!(DocumentKeys::new([(3, [0; KEY_LEN])]).err(), Some(KeyRingError::Zero(3)));
        assert_eq!(format!("{:?}", keys(&[7, 4])), "DocumentKeys(keys of versions [4, 7])");
    }

    proptest! {
        #[test]
        fn every_document_number_comes_back(number in "\\PC{0,30}", kind in "[a-z_]{1,12}", nonce: [u8; NONCE_LEN]) {
            let keys = keys(&[1, 2]);
            let sealed = seal_document(&keys, &kind, &number, nonce);
            prop_assert_eq!(open_document(&keys, &sealed), Ok(number));
        }
    }
}
