//! WeChat's platform certificates: the older way to verify, side by side with the public key while WeChat switches
//! (`wechat.md` 1.4, 1.5). They are downloaded at the start, several times a day, and when a message names one that we
//! do not have.
//!
//! Why a downloaded certificate is believed: it was sealed under the API v3 key, which WeChat and we alone have, and the
//! answer that brought it verifies with a key that we already had or with a certificate that the answer itself brings
//! under that seal. The second half is what makes the first download possible, when we have no key yet; with the age of
//! the signature it also stops an old answer from being played again. No chain to an authority is checked: being one of
//! somebody's certificates would prove nothing.
//!
//! Deliberately absent: encrypting fields for WeChat with the newest certificate; nothing here sends any.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::counters::Counters;
use crate::crypto::{ApiV3Key, VerifyingKey, decode_pem};
use crate::envelope::ALGORITHM;
use crate::error::{Advice, CallError, JsonFault, Operation, UnknownReason};
use crate::inner::{Downloads, Inner, failure};
use crate::model::is_word;
use crate::transport::{Answer, Target};
use crate::verify::{KeyRing, PlatformCertificate, VerifyError};

/// Certificates are downloaded again after this time; WeChat asks for less than 12 h.
pub const CERTIFICATES_EVERY: Duration = Duration::from_hours(6);
/// However many unknown serials arrive, and anybody can send some, this much time is between two downloads.
pub const CERTIFICATES_GAP: Duration = Duration::from_mins(1);
/// Serials of public keys begin so; all others are of certificates.
const PUBLIC_KEY_PREFIX: &str = "PUB_KEY_ID_";
/// Longest serial that is taken for one; WeChat's have 40 characters.
const MAX_SERIAL: usize = 64;
const PEM: &str = "CERTIFICATE";

/// What came of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificatesLoaded {
    /// So many certificates are in use now.
    InUse(usize),
    /// WeChat has none for this merchant, and the public key does without.
    NotOffered,
    /// The configuration says that none are to be used.
    Off,
}

/// Why a download brought nothing. What was in use before stays in use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificatesError {
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer is no list of certificates, or none in it is usable. The text repeats no value.
    #[error("no usable certificate: {0}")]
    Unusable(String),
}

impl From<UnknownReason> for CertificatesError {
    fn from(reason: UnknownReason) -> Self {
        Self::Call(reason.into())
    }
}

/// Whether a message with this serial may verify after a download.
fn names_certificate(serial: Option<&str>) -> bool {
    serial.is_some_and(|serial| !serial.starts_with(PUBLIC_KEY_PREFIX))
}

impl Inner {
    pub(crate) async fn load_certificates(&self) -> Result<CertificatesLoaded, CertificatesError> {
        match &self.downloads {
            None => Ok(CertificatesLoaded::Off),
            Some(downloads) => self.load(&mut *downloads.last.lock().await).await,
        }
    }

    /// Downloads for as long as it is polled; ends at once when the configuration has them off.
    pub(crate) async fn look_after_certificates(&self) {
        let Some(downloads) = &self.downloads else { return };
        loop {
            let next = match self.load_unless_just_tried(downloads).await {
                Some(Ok(_)) => downloads.every,
                // What went wrong has been counted and logged where it happened.
                Some(Err(_)) | None => downloads.gap,
            };
            tokio::time::sleep(downloads.gap).await;
            tokio::select! {
                () = tokio::time::sleep(next.saturating_sub(downloads.gap)) => {}
                () = downloads.wanted.notified() => {}
            }
        }
    }

    /// A callback cannot wait for a download: it is refused, the task downloads, and WeChat repeats.
    pub(crate) fn miss_certificate(&self, serial: Option<&str>) {
        if let Some(downloads) = self.downloads.as_ref().filter(|_| names_certificate(serial)) {
            downloads.wanted.notify_one();
        }
    }

    /// Verifies an answer; a certificate that we do not know is downloaded, unless that has just been tried.
    pub(crate) async fn verify(&self, answer: &Answer) -> Result<(), VerifyError> {
        let headers = answer.signed_headers();
        let verified = self.keys.verify(&headers, &answer.body, Timestamp::now());
        match &self.downloads {
            Some(downloads) if verified == Err(VerifyError::UnknownSerial) && names_certificate(headers.serial) => {
                // Without the certificate the answer stays unverified, which is all that this caller needs to know.
                let _ = self.load_unless_just_tried(downloads).await;
                self.keys.verify(&headers, &answer.body, Timestamp::now())
            }
            _ => verified,
        }
    }

    /// Waits for a download that is under way, and counts it as tried.
    async fn load_unless_just_tried(
        &self,
        downloads: &Downloads,
    ) -> Option<Result<CertificatesLoaded, CertificatesError>> {
        let mut last = downloads.last.lock().await;
        let due = last.is_none_or(|at| at.elapsed() >= downloads.gap);
        if due { Some(self.load(&mut last).await) } else { None }
    }

    async fn load(&self, last: &mut Option<Instant>) -> Result<CertificatesLoaded, CertificatesError> {
        *last = Some(Instant::now());
        let mut result = self.download().await;
        // WeChat's probes are not repeated.
        if matches!(&result, Err(CertificatesError::Call(error)) if error.is_probe()) {
            result = self.download().await;
        }
        let counters = &self.transport.counters;
        match &result {
            Ok(CertificatesLoaded::InUse(count)) => {
                Counters::add(&counters.certificates_loaded);
                tracing::info!(count, "{count} certificates of WeChat's are in use");
            }
            Ok(CertificatesLoaded::NotOffered | CertificatesLoaded::Off) => {}
            Err(error) => {
                Counters::add(&counters.certificates_failed);
                if matches!(error, CertificatesError::Call(error) if error.advice() == Advice::Configuration) {
                    Counters::add(&counters.configuration_faults);
                }
                tracing::warn!(%error, "WeChat's certificates were not loaded: {error}");
            }
        }
        result
    }

    async fn download(&self) -> Result<CertificatesLoaded, CertificatesError> {
        let target = Target { path: &["v3", "certificates"], query: None };
        let serial = self.answer_serial();
        let sent = tokio::time::timeout(self.timeout, self.transport.send(target, None, serial.as_deref()));
        let answer = sent.await.unwrap_or(Err(UnknownReason::Timeout))?;
        if answer.status != StatusCode::OK {
            // Merchants with a public key may have no certificate at all; WeChat says so in either of these ways.
            let none = answer.status == StatusCode::NOT_FOUND || answer.status == StatusCode::INTERNAL_SERVER_ERROR;
            return match self.config.key_id {
                Some(_) if none => Ok(CertificatesLoaded::NotOffered),
                _ => Err(failure(Operation::Certificates, answer.status, &answer.body).into()),
            };
        }
        let now = Timestamp::now();
        let List { usable, fault } = read_list(&answer.body, &self.api_v3_key, now)?;
        // Said before the signature is looked at, because a wrong API v3 key shows here.
        if usable.is_empty() {
            return Err(CertificatesError::Unusable(fault.unwrap_or_else(|| "the list is empty".to_owned())));
        }
        let verified = match self.keys.verify(&answer.signed_headers(), &answer.body, now) {
            Err(VerifyError::UnknownSerial) => {
                let brought = KeyRing::default();
                brought.replace_certificates(usable.clone());
                brought.verify(&answer.signed_headers(), &answer.body, now)
            }
            verified => verified,
        };
        if let Err(error) = verified {
            self.count_unverified(error);
            return Err(UnknownReason::Unverified(error).into());
        }

        if let Some(fault) = fault {
            tracing::warn!("One of WeChat's certificates is not used: {fault}");
        }
        let count = usable.len();
        self.keys.replace_certificates(usable);
        Ok(CertificatesLoaded::InUse(count))
    }
}

/// What a list brought.
struct List {
    /// Not expired.
    usable: Vec<PlatformCertificate>,
    /// Why one of the others is not.
    fault: Option<String>,
}

/// The times beside the certificates are not read: each certificate tells its own.
#[derive(Deserialize)]
struct Listed {
    serial_no: String,
    encrypt_certificate: SealedCertificate,
}

#[derive(Deserialize)]
struct SealedCertificate {
    algorithm: String,
    nonce: String,
    #[serde(default)]
    associated_data: Option<String>,
    ciphertext: String,
}

/// One bad entry does not spoil the others: during a rotation that would take both keys away.
fn read_list(body: &[u8], api_v3_key: &ApiV3Key, now: Timestamp) -> Result<List, CertificatesError> {
    #[derive(Deserialize)]
    struct Body {
        data: Vec<Listed>,
    }

    let body: Body = serde_json::from_slice(body)
        .map_err(|error| CertificatesError::Unusable(JsonFault("list", &error).to_string()))?;
    let mut list = List { usable: Vec::new(), fault: None };
    for listed in body.data {
        match listed.open(api_v3_key) {
            Ok(certificate) if certificate.not_after <= now => list.fault = Some("one has expired".to_owned()),
            Ok(certificate) => list.usable.push(certificate),
            Err(fault) => list.fault = Some(fault),
        }
    }
    Ok(list)
}

impl Listed {
    fn open(self, api_v3_key: &ApiV3Key) -> Result<PlatformCertificate, String> {
        let sealed = self.encrypt_certificate;
        if sealed.algorithm != ALGORITHM {
            return Err("unknown algorithm".to_owned());
        }
        if !is_word(&self.serial_no, MAX_SERIAL) {
            return Err("its serial is none".to_owned());
        }
        let associated_data = sealed.associated_data.unwrap_or_default();
        let pem = api_v3_key.open(&sealed.nonce, &associated_data, &sealed.ciphertext);
        let pem = String::from_utf8(pem.map_err(|error| error.to_string())?).map_err(|_| "not a PEM".to_owned())?;
        PlatformCertificate::read(self.serial_no, &pem)
    }
}

impl PlatformCertificate {
    /// `serial` must be the certificate's own.
    fn read(serial: String, pem: &str) -> Result<Self, String> {
        let der = decode_pem(pem, PEM).map_err(|error| error.to_string())?;
        let certificate = Certificate::from_der(&der).map_err(|_| "not an X.509 certificate".to_owned())?;
        let fields = certificate.tbs_certificate();
        let own = hex::encode(fields.serial_number().as_bytes());
        if plain_serial(&own) != plain_serial(&serial) {
            return Err("the list gives it another serial than its own".to_owned());
        }
        let key = fields.subject_public_key_info().to_der().map_err(|_| "its key cannot be read".to_owned())?;
        let time = |time: x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok();
            seconds
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .ok_or_else(|| "its times are none".to_owned())
        };
        Ok(Self {
            serial,
            key: VerifyingKey::from_der(&key).map_err(|error| error.to_string())?,
            not_before: time(fields.validity().not_before)?,
            not_after: time(fields.validity().not_after)?,
        })
    }
}

/// Serials are numbers, written with more or fewer zeros in front and in either case.
fn plain_serial(serial: &str) -> String {
    serial.trim_start_matches('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::crypto::SigningKey;

    const FIRST: &str = include_str!("../tests/vectors/platform-1.crt");
    const SECOND: &str = include_str!("../tests/vectors/platform-2.crt");
    const EXPIRED: &str = include_str!("../tests/vectors/platform-expired.crt");
    const FIRST_SERIAL: &str = "5DEA10EF55877E3CF6C33255C2E7DEFFF7E42701";
    const SECOND_SERIAL: &str = "0B12C3D4E5F60718293A4B5C6D7E8F9001122302";
    const EXPIRED_SERIAL: &str = "1A12C3D4E5F60718293A4B5C6D7E8F9001122303";
    const NONCE: &str = "abcdef012345";

    fn api_v3_key() -> ApiV3Key {
        ApiV3Key::new(b"0123456789abcdef0123456789abcdef").unwrap()
    }

    fn entry(serial: &str, pem: &str) -> serde_json::Value {
        json!({
            // One of WeChat's samples has this space in the name.
            "serial_no": serial, "effective_time ": "2024-01-01T08:00:00+08:00", "expire_time": "soon",
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM", "nonce": NONCE, "associated_data": "certificate",
                "ciphertext": api_v3_key().seal(NONCE, "certificate", pem.as_bytes()).unwrap(),
            },
        })
    }

    fn now() -> Timestamp {
        "2026-11-20T00:00:00Z".parse().unwrap()
    }

    fn read(entries: &[serde_json::Value]) -> List {
        read_list(json!({ "data": entries }).to_string().as_bytes(), &api_v3_key(), now()).unwrap()
    }

    fn certificate(serial: &str, pem: &str) -> PlatformCertificate {
        PlatformCertificate::read(serial.to_owned(), pem).unwrap()
    }

    #[test]
    fn a_certificate_tells_its_serial_its_time_and_its_key() {
        let first = certificate(FIRST_SERIAL, FIRST);
        assert_eq!(first.serial, FIRST_SERIAL);
        assert_eq!(first.not_before, "2024-01-01T00:00:00Z".parse().unwrap());
        // Beyond 2049 the time has another form.
        assert_eq!(first.not_after, "2074-01-01T00:00:00Z".parse().unwrap());
        let key = SigningKey::from_pem(include_str!("../tests/vectors/platform-1.pem")).unwrap();
        assert!(first.key.verifies(b"message", &key.sign(b"message").unwrap()));
    }

    #[test]
    fn the_listed_serial_is_the_certificates_own_number_however_it_is_written() {
        for serial in [SECOND_SERIAL, &SECOND_SERIAL.to_lowercase(), SECOND_SERIAL.trim_start_matches('0')] {
            assert_eq!(certificate(serial, SECOND).serial, serial);
        }
        for serial in [FIRST_SERIAL, "", "0", "PUB_KEY_ID_1"] {
            assert!(PlatformCertificate::read(serial.to_owned(), SECOND).unwrap_err().contains("another serial"));
        }
    }

    #[test]
    fn both_certificates_of_a_rotation_are_used_and_an_expired_one_is_not() {
        let list = read(&[entry(FIRST_SERIAL, FIRST), entry(SECOND_SERIAL, SECOND), entry(EXPIRED_SERIAL, EXPIRED)]);
        let serials: Vec<_> = list.usable.iter().map(|certificate| certificate.serial.as_str()).collect();
        assert_eq!(serials, [FIRST_SERIAL, SECOND_SERIAL]);
        assert_eq!(list.fault.as_deref(), Some("one has expired"));
    }

    #[test]
    fn what_was_not_sealed_under_our_key_is_not_believed() {
        type Spoil = fn(&mut serde_json::Value);
        let cases: [(&str, Spoil); 7] = [
            ("does not open", |e| e["encrypt_certificate"]["associated_data"] = "transaction".into()),
            ("does not open", |e| e["encrypt_certificate"]["nonce"] = "abcdef012346".into()),
            ("the nonce is not", |e| e["encrypt_certificate"]["nonce"] = "short".into()),
            ("shorter than its tag", |e| e["encrypt_certificate"]["ciphertext"] = "AAAA".into()),
            ("unknown algorithm", |e| e["encrypt_certificate"]["algorithm"] = "AEAD_SM4_GCM".into()),
            ("another serial", |e| e["serial_no"] = SECOND_SERIAL.into()),
            ("serial is none", |e| e["serial_no"] = "".into()),
        ];
        for (expected, spoil) in cases {
            let mut bad = entry(FIRST_SERIAL, FIRST);
            spoil(&mut bad);
            // The good one beside it stays usable.
            let list = read(&[bad, entry(SECOND_SERIAL, SECOND)]);
            assert_eq!(list.usable.len(), 1);
            assert!(list.fault.clone().unwrap().contains(expected), "{:?}", list.fault);
        }
        for content in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
            let list = read(&[entry(FIRST_SERIAL, content)]);
            assert!(list.usable.is_empty() && list.fault.is_some());
        }
        for body in ["", "{}", r#"{"data":{}}"#, "<html>"] {
            let error = read_list(body.as_bytes(), &api_v3_key(), now()).map(|list| list.usable.len()).unwrap_err();
            assert!(matches!(error, CertificatesError::Unusable(_)));
        }
    }

    #[test]
    fn a_certificate_verifies_in_its_time_only_and_a_withdrawn_one_no_more() {
        let ring = KeyRing::default();
        ring.replace_certificates(vec![certificate(FIRST_SERIAL, FIRST), certificate(EXPIRED_SERIAL, EXPIRED)]);
        assert_eq!(ring.certificates(now()), 1);
        for (at, newest) in [
            ("2023-12-31T23:54:59Z", Some(EXPIRED_SERIAL)),
            ("2023-12-31T23:59:59Z", Some(FIRST_SERIAL)),
            ("2073-12-31T23:59:59Z", Some(FIRST_SERIAL)),
            ("2074-01-01T00:00:00Z", None),
        ] {
            assert_eq!(ring.newest_certificate(at.parse().unwrap()).as_deref(), newest, "{at}");
        }

        ring.replace_certificates(vec![certificate(FIRST_SERIAL, FIRST), certificate(SECOND_SERIAL, SECOND)]);
        assert_eq!(ring.newest_certificate(now()).as_deref(), Some(SECOND_SERIAL));
        ring.replace_certificates(vec![certificate(SECOND_SERIAL, SECOND)]);
        assert_eq!(ring.certificates(now()), 1);
    }
}
