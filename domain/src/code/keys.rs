//! The keys of codes and the times in which each seals and opens (R-TICKET-04). Everything that opens or verifies a code
//! asks [`Schedule::genuine`], so that a gate without the network judges as the server does.

use std::fmt;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use crate::sealing::{KEY_LEN, prepare};
use crate::time::Timestamp;

/// What the seed of a version's signing key is derived for. One secret a version, so that they are rotated together.
const SIGNING_DOMAIN: &[u8] = b"deeptravel/code/signing";

/// Bytes of an Ed25519 public key.
pub const PUBLIC_KEY_LEN: usize = 32;

/// A key as it is configured (`secrets.code_keys_file`).
#[derive(Clone)]
pub struct CodeKey {
    pub version: u32,
    pub secret: [u8; KEY_LEN],
    /// When it takes over from the older versions; `None`: as soon as it is loaded.
    pub seals_from: Option<Timestamp>,
    /// From then on it neither seals nor opens; `None`: it opens until it is removed.
    pub opens_until: Option<Timestamp>,
}

impl CodeKey {
    /// A key without dates.
    pub fn new(version: u32, secret: [u8; KEY_LEN]) -> CodeKey {
        CodeKey { version, secret, seals_from: None, opens_until: None }
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code key {} (seals from {:?}, opens until {:?})", self.version, self.seals_from, self.opens_until)
    }
}

/// A set of keys that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeKeysError {
    #[error("there are two code keys of version {0}")]
    Repeated(u32),
    #[error("the code key of version {0} is all zero")]
    Zero(u32),
    #[error("there are times from now on in which no code key seals: see seals_from and opens_until")]
    NoneSeals,
}

/// A version with its times.
#[derive(Clone, Debug)]
pub(super) struct Entry<K> {
    pub version: u32,
    seals_from: Option<Timestamp>,
    pub opens_until: Option<Timestamp>,
    pub key: K,
}

impl<K> Entry<K> {
    fn is_over(&self, at: Timestamp) -> bool {
        self.opens_until.is_some_and(|end| at >= end)
    }
}

/// Versions, oldest first, with their times.
#[derive(Clone, Debug)]
pub(super) struct Schedule<K> {
    entries: Vec<Entry<K>>,
    /// A version without `seals_from` has sealed since then, as far as anybody knows; whether before is not known.
    loaded_at: Timestamp,
}

impl<K> Schedule<K> {
    /// The version that seals at `at`, which is not before it was loaded: the newest whose time it is.
    fn sealing(&self, at: Timestamp) -> Option<&Entry<K>> {
        self.entries.iter().rev().find(|entry| self.has_begun(entry, at) && !entry.is_over(at))
    }

    /// Since when the version that seals at `at` has done so, as far as it is known: what says to be issued before that is
    /// another version's work.
    fn sealing_since(&self, sealing: &Entry<K>, at: Timestamp) -> Option<Timestamp> {
        let newer = self.entries.iter().filter(|entry| entry.version > sealing.version);
        let ends = newer.filter_map(|entry| entry.opens_until).filter(|end| *end <= at);
        ends.chain(sealing.seals_from).max()
    }

    /// The key of a version, if it opens now and a code that says to be issued at `issued_at` can be its work: not when
    /// another version sealed by then. So a key that has been replaced is of no use to whoever finds it later.
    pub fn genuine(&self, version: u32, issued_at: Timestamp, now: Timestamp) -> Option<&K> {
        let entry = self.entries.iter().find(|entry| entry.version == version)?;
        let early = entry.seals_from.is_some_and(|from| issued_at < from);
        let late = self
            .entries
            .iter()
            .any(|newer| newer.version > version && self.has_begun(newer, issued_at) && !newer.is_over(issued_at));
        let refused = early || late || entry.is_over(issued_at) || entry.is_over(now) || issued_at > now;
        (!refused).then_some(&entry.key)
    }

    fn has_begun(&self, entry: &Entry<K>, at: Timestamp) -> bool {
        at >= entry.seals_from.unwrap_or(self.loaded_at)
    }
}

/// What a version does with codes.
pub(super) struct Secrets {
    pub sealing: LessSafeKey,
    pub signing: Ed25519KeyPair,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

impl Secrets {
    fn new(secret: &[u8; KEY_LEN]) -> Secrets {
        let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), SIGNING_DOMAIN);
        let Ok(signing) = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()) else {
            unreachable!("Ed25519 takes every seed of 32 bytes")
        };
        Secrets { sealing: prepare(secret), signing }
    }
}

/// The keys of codes, prepared once. Never shown.
#[derive(Debug)]
pub struct CodeKeys(pub(super) Schedule<Secrets>);

impl CodeKeys {
    /// `loaded_at`: engine time; the keys seal from then on.
    pub fn new(keys: impl IntoIterator<Item = CodeKey>, loaded_at: Timestamp) -> Result<CodeKeys, CodeKeysError> {
        let mut entries: Vec<Entry<Secrets>> = Vec::new();
        for CodeKey { version, secret, seals_from, opens_until } in keys {
            if entries.iter().any(|other| other.version == version) {
                return Err(CodeKeysError::Repeated(version));
            }
            if secret == [0; KEY_LEN] {
                return Err(CodeKeysError::Zero(version));
            }
            // Codes say whole seconds; so do the keys, that neither is a fraction before the other.
            let whole = |at: Timestamp| Timestamp::from_seconds(at.as_seconds());
            let (seals_from, opens_until) = (seals_from.map(whole), opens_until.map(whole));
            entries.push(Entry { version, seals_from, opens_until, key: Secrets::new(&secret) });
        }
        entries.sort_by_key(|entry| entry.version);
        let schedule = Schedule { entries, loaded_at };
        // A gap begins where a version ends, or now.
        let ends = schedule.entries.iter().filter_map(|entry| entry.opens_until).filter(|end| *end > loaded_at);
        if [loaded_at].into_iter().chain(ends).all(|at| schedule.sealing(at).is_some()) {
            Ok(CodeKeys(schedule))
        } else {
            Err(CodeKeysError::NoneSeals)
        }
    }

    /// The key that seals, and since when it has, if that is known. Nothing that it seals opens when its time is over.
    pub(super) fn sealing(&self, at: Timestamp) -> (&Entry<Secrets>, Option<Timestamp>) {
        let at = at.max(self.0.loaded_at);
        // Checked by `new`.
        let Some(entry) = self.0.sealing(at) else { unreachable!("a key always seals") };
        (entry, self.0.sealing_since(entry, at))
    }

    /// The version that seals at `at`.
    pub fn sealing_version(&self, at: Timestamp) -> u32 {
        self.sealing(at).0.version
    }

    /// Versions that open although a newer one has no date from which it seals: codes that are forged with them after the
    /// next start cannot be told from those that were issued before it.
    pub fn undated(&self) -> impl Iterator<Item = u32> {
        self.0.entries.iter().skip(1).filter(|entry| entry.seals_from.is_none()).map(|entry| entry.version)
    }

    /// What a gate needs to verify passes without the network; it cannot make one with it.
    pub fn public(&self) -> PublicKeys {
        let public = |entry: &Entry<Secrets>| {
            let key = entry.key.signing.public_key().as_ref().first_chunk().copied();
            let Some(key) = key else { unreachable!("an Ed25519 public key has 32 bytes") };
            Entry { version: entry.version, seals_from: entry.seals_from, opens_until: entry.opens_until, key }
        };
        let entries = self.0.entries.iter().map(public).collect();
        PublicKeys(Schedule { entries, loaded_at: self.0.loaded_at })
    }
}

/// The public halves of the signing keys, with the same times.
#[derive(Clone, Debug)]
pub struct PublicKeys(pub(super) Schedule<[u8; PUBLIC_KEY_LEN]>);
