//! What the listener shows when it speaks TLS itself: a certificate and its key, from files that are read again when they
//! were renewed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

/// Whatever renews certificates does so a month before their end: when so little is left, it has failed.
const RENEWED_BEFORE_END: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A renewed certificate may begin so much later than now: its authority's clock is not ours. One that begins later still is
/// another's turn.
const BEGINS_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// What is spoken over TLS. Clients that offer something else beside it are told.
const PROTOCOL: &[u8] = b"http/1.1";

/// Keys of the configuration that name the files.
pub const TLS_CERTIFICATE: &str = "server.tls_certificate";
pub const TLS_KEY: &str = "server.tls_key";

/// The files of a certificate: itself and what lies between it and its authority, and its key, as PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the files hold.
struct Found {
    key: CertifiedKey,
    from: Timestamp,
    /// The server's own; those above it live longer, or are there for old clients only.
    until: Timestamp,
}

impl TlsFiles {
    /// Reads them and sees that they fit. The error names the key of the configuration.
    fn read(&self) -> anyhow::Result<Found> {
        let of_the_certificate = || named(TLS_CERTIFICATE, &self.certificate);
        let chain = CertificateDer::pem_file_iter(&self.certificate).with_context(of_the_certificate)?;
        let chain = chain.collect::<Result<Vec<_>, _>>().with_context(of_the_certificate)?;
        let Some(own) = chain.first() else { bail!("{}: there is no certificate in it", of_the_certificate()) };
        let own = x509_cert::Certificate::from_der(own).with_context(of_the_certificate)?;
        let validity = own.tbs_certificate().validity();
        let (from, until) = (time(validity.not_before), time(validity.not_after));
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| named(TLS_KEY, &self.key))?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let key = key.with_context(|| format!("{TLS_KEY} is not the key of {TLS_CERTIFICATE}, or none"))?;
        Ok(Found { key, from, until })
    }

    /// Whether they can be used at all.
    pub fn check(&self) -> anyhow::Result<()> {
        self.read().map(drop)
    }

    /// What clients will not believe, now or soon. Nothing of files that cannot be used.
    pub fn doubt(&self, now: Timestamp) -> Option<String> {
        let Found { from, until, .. } = self.read().ok()?;
        let what = match () {
            () if until <= now => format!("has ended on {until}: no client believes it"),
            () if from > now => format!("begins on {from}: until then no client believes it"),
            () if until - RENEWED_BEFORE_END <= now => format!("ends on {until}: renew it (docs/tls.md)"),
            () => return None,
        };
        Some(format!("{} {what}", named(TLS_CERTIFICATE, &self.certificate)))
    }
}

fn named(key: &str, path: &Path) -> String {
    format!("{key} = {}", path.display())
}

/// The last moment of the year 9999, which is no end at all (RFC 5280), is beyond what we reckon with.
fn time(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// The certificate that clients are shown.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    shown: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Reads it. One that has ended is shown, too: whoever has no better one wants the server, not the error.
    pub fn of(files: TlsFiles) -> anyhow::Result<Arc<Certificate>> {
        let Found { key, until, .. } = files.read()?;
        say(&files, until);
        Ok(Arc::new(Certificate { files, shown: ArcSwap::from_pointee(key) }))
    }

    /// Reads it again; from then on new connections are shown it. What cannot be used, has ended or has not begun changes
    /// nothing.
    pub fn read_again(&self) -> anyhow::Result<()> {
        let (Found { key, from, until }, now) = (self.files.read()?, Timestamp::now());
        let file = || named(TLS_CERTIFICATE, &self.files.certificate);
        if until <= now {
            bail!("{} has ended on {until}", file());
        }
        if from - BEGINS_WITHIN > now {
            bail!("{} begins on {from}", file());
        }
        say(&self.files, until);
        self.shown.store(Arc::new(key));
        Ok(())
    }

    /// What shakes hands with clients.
    pub(super) fn acceptor(self: Arc<Self>) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config =
            config.with_safe_default_protocol_versions().expect("aws-lc has the versions of TLS that rustls has");
        let mut config = config.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Arc::new(config).into()
    }
}

fn say(files: &TlsFiles, until: Timestamp) {
    tracing::info!("Clients are shown the certificate in {}, good until {until}", files.certificate.display());
}

/// Whatever name a client asks for: there is one.
impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::api::tests::tls::{Authority, Certified};

    fn files(dir: &TempDir, certified: &Certified) -> TlsFiles {
        certified.files(dir.path())
    }

    fn refused(files: &TlsFiles) -> String {
        format!("{:#}", files.check().unwrap_err())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn fault_11_files_that_do_not_fit_are_refused_by_the_name_of_their_key() {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::fresh());
        let ours = authority.sign("localhost");
        files(&dir, &ours).check().unwrap();
        let with = |certificate: &str, key: &str| {
            let certified = Certified { certificate: certificate.to_owned(), key: key.to_owned() };
            refused(&files(&dir, &certified))
        };
        let said = with(&ours.certificate, &authority.sign("localhost").key);
        assert!(said.contains("server.tls_key is not the key of server.tls_certificate"), "{said}");
        assert!(with("", &ours.key).starts_with("server.tls_certificate"));
        let said = with(&ours.certificate, "");
        assert!(said.starts_with("server.tls_key"), "{said}");
        let broken = ours.certificate.replacen("MII", "MIA", 1);
        assert!(with(&broken, &ours.key).starts_with("server.tls_certificate"));
        std::fs::remove_file(dir.path().join("certificate.pem")).unwrap();
        let nowhere = TlsFiles { certificate: dir.path().join("none.pem"), key: dir.path().join("key.pem") };
        let said = refused(&nowhere);
        assert!(said.starts_with("server.tls_certificate") && said.contains("none.pem"), "{said}");
    }

    #[test]
    fn fault_11_the_end_of_a_certificate_is_said_two_weeks_before() {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::fresh());
        let files = files(&dir, &authority.sign_for("localhost", (2026, 6, 1), (2026, 9, 1)));
        let says = |now: &str, what: &str| {
            let said = files.doubt(at(now)).unwrap();
            assert!(said.starts_with("server.tls_certificate") && said.contains(what), "{now}: {said}");
        };
        says("2026-05-31T23:59:59Z", "begins on 2026-06-01");
        assert_eq!(files.doubt(at("2026-06-01T00:00:00Z")), None);
        assert_eq!(files.doubt(at("2026-08-17T23:59:59Z")), None);
        says("2026-08-18T00:00:00Z", "ends on 2026-09-01");
        says("2026-09-01T00:00:00Z", "has ended on 2026-09-01");
    }

    #[test]
    fn fault_11_a_certificate_without_an_end_is_used() {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::fresh());
        let files = files(&dir, &authority.sign_for("localhost", (2026, 6, 1), (9999, 12, 31)));
        files.check().unwrap();
        assert_eq!(files.doubt(at("2026-06-02T00:00:00Z")), None);
    }

    #[test]
    fn fault_11_a_new_certificate_that_cannot_be_used_leaves_the_old_one() {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::fresh());
        let old = authority.sign("localhost");
        let certificate = Certificate::of(files(&dir, &old)).unwrap();
        let shown =
            |certificate: &Certificate| certificate.shown.load().end_entity_cert().unwrap().clone().into_owned();
        let (before, new) = (shown(&certificate), authority.sign("localhost"));
        // Half of the renewal: the key is still the old one.
        files(&dir, &Certified { certificate: new.certificate.clone(), key: old.key });
        assert!(certificate.read_again().is_err());
        files(&dir, &authority.sign_for("localhost", (2020, 1, 1), (2021, 1, 1)));
        assert!(certificate.read_again().unwrap_err().to_string().contains("has ended on 2021-01-01"));
        files(&dir, &authority.sign_for("localhost", (2100, 1, 1), (2101, 1, 1)));
        assert!(certificate.read_again().unwrap_err().to_string().contains("begins on 2100-01-01"));
        assert_eq!(shown(&certificate), before);

        files(&dir, &new);
        certificate.read_again().unwrap();
        assert_ne!(shown(&certificate), before);
    }
}
