//! WeChat's own keys, made at start: a public key with its id, and certificates, of which there may be several while one
//! follows the other (`wechat.md` 1.4, 1.5).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, SerialNumber, date_time_ymd};

use super::chance;
use super::faults::Fault;
use super::settings::{AnswerKey, Settings};
use super::transaction::random_digits;
use crate::crypto::{CryptoFailure, SigningKey};

/// A certificate is valid for this many years, as WeChat's are.
const CERTIFICATE_YEARS: i16 = 5;
/// Most certificates at once; WeChat never has more than two.
const MAX_CERTIFICATES: usize = 10;
/// Where chance draws which key signs.
const STREAM: u64 = 1 << 63;

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Certificate {
    /// 40 upper-case hexadecimal digits.
    pub(super) serial: String,
    pub(super) pem: String,
    pub(super) effective: Timestamp,
    pub(super) expires: Timestamp,
    key: SigningKey,
}

/// What signs: the id that goes out as `Wechatpay-Serial`, and the key.
pub(super) enum Signer {
    PublicKey,
    Certificate(Arc<Certificate>),
}

#[derive(Debug)]
pub(super) struct Platform {
    key: SigningKey,
    pub(super) key_id: String,
    pub(super) key_pem: String,
    certificates: RwLock<Certificates>,
    /// How often chance was asked which key signs.
    draws: AtomicU64,
}

#[derive(Debug)]
struct Certificates {
    /// Oldest first.
    all: Vec<Arc<Certificate>>,
    signs: Arc<Certificate>,
}

impl Platform {
    pub(super) fn generate(mchid: &str) -> io::Result<Self> {
        let key = SigningKey::generate().map_err(io::Error::other)?;
        let first = Arc::new(Certificate::generate()?);
        Ok(Self {
            key_pem: key.public_pem().map_err(io::Error::other)?,
            key,
            key_id: format!("PUB_KEY_ID_01{mchid}{:016}", random_digits(16)),
            certificates: RwLock::new(Certificates { all: vec![Arc::clone(&first)], signs: first }),
            draws: AtomicU64::new(0),
        })
    }

    /// All certificates, oldest first, and the serial of the one that signs.
    pub(super) fn certificates(&self) -> (Vec<Arc<Certificate>>, String) {
        let certificates = self.certificates.read().unwrap_or_else(PoisonError::into_inner);
        (certificates.all.clone(), certificates.signs.serial.clone())
    }

    /// One more certificate, which signs from now on if it is to.
    pub(super) fn rotate(&self, new: Certificate, signs: bool) -> Result<Arc<Certificate>, &'static str> {
        let new = Arc::new(new);
        let mut certificates = self.certificates.write().unwrap_or_else(PoisonError::into_inner);
        if certificates.all.len() >= MAX_CERTIFICATES {
            return Err("too many certificates");
        }
        certificates.all.push(Arc::clone(&new));
        if signs {
            certificates.signs = Arc::clone(&new);
        }
        Ok(new)
    }

    /// Lets this certificate sign from now on.
    pub(super) fn sign_with(&self, serial: &str) -> bool {
        let mut certificates = self.certificates.write().unwrap_or_else(PoisonError::into_inner);
        let found = certificates.all.iter().find(|known| known.serial == serial).map(Arc::clone);
        found.map(|found| certificates.signs = found).is_some()
    }

    /// No longer lists this certificate; the one that signs stays.
    pub(super) fn retire(&self, serial: &str) -> bool {
        let mut certificates = self.certificates.write().unwrap_or_else(PoisonError::into_inner);
        let before = certificates.all.len();
        let signs = certificates.signs.serial.clone();
        certificates.all.retain(|known| known.serial != serial || known.serial == signs);
        certificates.all.len() < before
    }

    /// What signs an answer to a request that named this key. Who names none is taken for a merchant with certificates.
    pub(super) fn answers(&self, requested: Option<&str>, settings: &Settings, fault: &Fault) -> Signer {
        let by_certificate = match settings.answers_signed_with {
            AnswerKey::Requested => requested.is_none_or(|serial| !serial.starts_with("PUB_KEY_ID_")),
            AnswerKey::Certificate => true,
            AnswerKey::PublicKey => false,
            AnswerKey::Mixed => self.draw(settings) < 0.5,
        };
        self.signer(by_certificate != fault.other_key)
    }

    /// What signs a notification.
    pub(super) fn notifies(&self, settings: &Settings, fault: &Fault) -> Signer {
        let share = settings.notifications_by_certificate;
        let by_certificate = share > 0.0 && self.draw(settings) < share;
        self.signer(by_certificate != fault.other_key)
    }

    fn signer(&self, by_certificate: bool) -> Signer {
        if !by_certificate {
            return Signer::PublicKey;
        }
        Signer::Certificate(Arc::clone(&self.certificates.read().unwrap_or_else(PoisonError::into_inner).signs))
    }

    fn draw(&self, settings: &Settings) -> f64 {
        chance::draw(settings.seed, STREAM, self.draws.fetch_add(1, Ordering::Relaxed))
    }

    /// Serial and signature.
    pub(super) fn sign(&self, signer: &Signer, message: &[u8]) -> Result<(String, String), CryptoFailure> {
        match signer {
            Signer::PublicKey => Ok((self.key_id.clone(), self.key.sign(message)?)),
            Signer::Certificate(certificate) => Ok((certificate.serial.clone(), certificate.key.sign(message)?)),
        }
    }
}

impl Certificate {
    /// A new key with a certificate over it that it signs itself, valid since yesterday.
    pub(super) fn generate() -> io::Result<Self> {
        let key = SigningKey::generate().map_err(io::Error::other)?;
        let pem = key.private_pem().map_err(io::Error::other)?;
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).map_err(io::Error::other)?;

        let bytes = random_serial();
        let from = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_sub(jiff::Span::new().days(1));
        let to = from.saturating_add(jiff::Span::new().years(CERTIFICATE_YEARS));
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "DeepTravel WeChat simulator");
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&bytes));
        params.distinguished_name = name;
        params.not_before = date_time_ymd(from.year().into(), from.month().unsigned_abs(), from.day().unsigned_abs());
        params.not_after = date_time_ymd(to.year().into(), to.month().unsigned_abs(), to.day().unsigned_abs());
        let certificate = params.self_signed(&pair).map_err(io::Error::other)?;
        Ok(Self {
            serial: hex::encode_upper(bytes),
            pem: certificate.pem(),
            effective: start_of(from)?,
            expires: start_of(to)?,
            key,
        })
    }
}

/// Twenty bytes, the first between 0x40 and 0x4F: a positive number without leading zeros, so that hexadecimal, integer
/// and DER forms agree.
fn random_serial() -> [u8; 20] {
    let (first, second) = (uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes());
    let mut bytes = [0; 20];
    for (byte, random) in bytes.iter_mut().zip(first.into_iter().chain(second)) {
        *byte = random;
    }
    bytes[0] = 0x40 | (bytes[0] & 0x0F);
    bytes
}

fn start_of(date: jiff::civil::Date) -> io::Result<Timestamp> {
    date.to_zoned(jiff::tz::TimeZone::UTC).map(|start| start.timestamp()).map_err(io::Error::other)
}
