//! How Postgres is reached: where, as whom, and with what TLS. Whoever connects does so by an [`Access`].
//!
//! TLS is said where the database is said, in its URL, with libpq's names: `psql` reads the same URL in the same way, or
//! refuses it. Why so: `docs/decisions/tls-to-postgres.md`.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use percent_encoding::percent_decode_str;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::here::{is_here, is_loopback};

/// What drives a connection; whoever awaits it.
pub(super) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// How Postgres is reached.
#[derive(Clone)]
pub struct Access {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Access {
    /// A server of this machine that is reached by its socket, which nobody else reads.
    pub fn by_socket(mut config: Config) -> Access {
        config.ssl_mode(SslMode::Disable);
        Access { config, tls: believing(RootCertStore::empty()) }
    }

    /// What `database.url` says. To another machine nothing goes without TLS, unless `plaintext` agrees to that.
    ///
    /// # Errors
    /// Say what is wrong with the URL without repeating it, because it holds a password.
    pub fn of_url(url: &str, plaintext: bool) -> anyhow::Result<Access> {
        let Parameters { others, mode, authority } = Parameters::of(url)?;
        let mut config = read(&others)?;
        let mode = match mode {
            Some(mode) => mode,
            None => Mode::of(config.get_ssl_mode())?,
        };
        let tls = match (mode, authority) {
            (Mode::VerifyFull, Some(path)) => believing(certificates(&path)?),
            (Mode::VerifyFull, None) => bail!(
                "database.url: sslmode=verify-full needs sslrootcert=<file>, the certificate of who has signed the server's"
            ),
            (Mode::Disable | Mode::Prefer | Mode::Require, Some(_)) => {
                bail!("database.url: sslrootcert is for sslmode=verify-full; the other modes believe every server")
            }
            (Mode::Disable | Mode::Prefer | Mode::Require, None) => believing_everybody(),
        };
        config.ssl_mode(on_the_wire(mode, &config, plaintext)?);
        Ok(Access { config, tls })
    }

    /// Connects. Whoever drives the connection may be anybody.
    pub async fn connect(&self) -> Result<(Client, Driver), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }
}

/// Without the password.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// `sslmode`, as libpq names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Disable,
    /// TLS if the server offers it.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS with a server whose certificate says its name and is signed by whom we believe.
    VerifyFull,
}

impl Mode {
    fn named(name: &str) -> anyhow::Result<Mode> {
        match name {
            "disable" => Ok(Mode::Disable),
            "prefer" => Ok(Mode::Prefer),
            "require" => Ok(Mode::Require),
            "verify-full" => Ok(Mode::VerifyFull),
            "verify-ca" => bail!(
                "database.url: sslmode=verify-ca believes every server that has a certificate of the same authority; use \
                 verify-full, which asks for the name, too"
            ),
            _ => bail!("database.url: sslmode is disable, prefer, require or verify-full"),
        }
    }

    fn of(mode: SslMode) -> anyhow::Result<Mode> {
        match mode {
            SslMode::Disable => Ok(Mode::Disable),
            SslMode::Prefer => Ok(Mode::Prefer),
            SslMode::Require => Ok(Mode::Require),
            // The driver's list is open; it knows no others now.
            other => bail!("database.url: sslmode {other:?} is not known here"),
        }
    }
}

/// A URL without the parameters that the driver does not know, and what they say.
struct Parameters<'a> {
    others: Cow<'a, str>,
    mode: Option<Mode>,
    authority: Option<PathBuf>,
}

impl Parameters<'_> {
    /// What is no URL stays as it is: the driver reads libpq's other form, too, with the modes that it knows.
    fn of(url: &str) -> anyhow::Result<Parameters<'_>> {
        let untouched = Parameters { others: url.into(), mode: None, authority: None };
        if !is_url(url) {
            return Ok(untouched);
        }
        // As the driver does: whatever stands before the first @ is the login.
        let host = url.find('@').map_or(0, |at| at + 1);
        let Some(question) = url[host..].find('?').map(|at| host + at) else { return Ok(untouched) };
        let (mut mode, mut authority, mut others) = (None, None, Vec::new());
        for parameter in url[question + 1..].split('&') {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(Mode::named(&decoded(value)?)?),
                Some(("sslrootcert", value)) => authority = Some(PathBuf::from(&*decoded(value)?)),
                _ => others.push(parameter),
            }
        }
        let others = format!("{}?{}", &url[..question], others.join("&"));
        Ok(Parameters { others: others.into(), mode, authority })
    }
}

fn is_url(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn decoded(value: &str) -> anyhow::Result<Cow<'_, str>> {
    percent_decode_str(value).decode_utf8().context("database.url: a parameter is no UTF-8")
}

/// The driver's complaint may quote the parameter that it does not know, which is a piece of the password if an @ in that
/// looks like its end.
fn read(url: &str) -> anyhow::Result<Config> {
    const AT: &str = "database.url: an @ in a password is written %40";
    let ends = |text: &str| text.matches('@').count();
    if is_url(url) && url.split('?').next().is_some_and(|place| ends(place) > 1) {
        bail!(AT);
    }
    match url.parse() {
        Ok(config) => Ok(config),
        Err(error) if is_url(url) && ends(url) < 2 => Err(error).context("database.url"),
        Err(_) if is_url(url) => bail!(AT),
        Err(_) => bail!("database.url is no postgres://user:password@host:port/database?parameters"),
    }
}

/// What the driver is told. To another machine `prefer` never goes without TLS.
fn on_the_wire(mode: Mode, config: &Config, plaintext: bool) -> anyhow::Result<SslMode> {
    let hosts = config.get_hosts();
    // Sockets have no TLS, and libpq asks for none there.
    if !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_))) && config.get_hostaddrs().is_empty()
    {
        return Ok(SslMode::Disable);
    }
    let elsewhere = elsewhere(hosts, config.get_hostaddrs());
    match (mode, elsewhere) {
        (Mode::Disable, Some(host)) if !plaintext => bail!(
            "database.url: {host} is another machine, and with sslmode=disable everybody on the way reads what travellers are \
             called: use sslmode=verify-full with sslrootcert=<file>, or sslmode=require; where the network is nobody \
             else's, database.plaintext = true agrees to it"
        ),
        (Mode::Prefer, Some(_)) if !plaintext => Ok(SslMode::Require),
        (Mode::Disable, _) => Ok(SslMode::Disable),
        (Mode::Prefer, _) => Ok(SslMode::Prefer),
        (Mode::Require | Mode::VerifyFull, _) => Ok(SslMode::Require),
    }
}

/// The first host that is another machine. Where addresses are given the driver goes there, and names are for TLS only.
fn elsewhere(hosts: &[Host], addresses: &[IpAddr]) -> Option<String> {
    if !addresses.is_empty() {
        return addresses.iter().find(|address| !is_loopback(**address)).map(ToString::to_string);
    }
    hosts.iter().find_map(|host| match host {
        Host::Tcp(name) if !is_here(name) => Some(name.clone()),
        Host::Tcp(_) | Host::Unix(_) => None,
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn believing(authorities: RootCertStore) -> MakeRustlsConnect {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.expect("aws-lc has the versions of TLS that rustls has");
    MakeRustlsConnect::new(config.with_root_certificates(authorities).with_no_client_auth())
}

fn believing_everybody() -> MakeRustlsConnect {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.expect("aws-lc has the versions of TLS that rustls has").dangerous();
    MakeRustlsConnect::new(
        config.with_custom_certificate_verifier(Arc::new(Everybody(provider()))).with_no_client_auth(),
    )
}

fn certificates(path: &Path) -> anyhow::Result<RootCertStore> {
    let of_the_file = || format!("database.url: sslrootcert={}", path.display());
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(of_the_file)? {
        authorities.add(certificate.with_context(of_the_file)?).with_context(of_the_file)?;
    }
    if authorities.is_empty() {
        bail!("{}: there is no certificate in it", of_the_file());
    }
    Ok(authorities)
}

/// Believes every server, as libpq does when no name is to be verified: it hides from those who only listen. Whoever
/// stands in between has a certificate of his own, so no signature is worth a look.
#[derive(Debug)]
struct Everybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Everybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the driver does about TLS with this URL.
    fn mode(url: &str, plaintext: bool) -> SslMode {
        Access::of_url(url, plaintext).unwrap().config.get_ssl_mode()
    }

    fn refused(url: &str) -> String {
        format!("{:#}", Access::of_url(url, false).map(drop).unwrap_err())
    }

    #[test]
    fn fault_11_to_another_machine_nothing_goes_without_tls_unless_that_is_agreed_to() {
        for host in ["db.example", "192.0.2.1", "[2001:db8::1]", "localhost,db.example", "db?hostaddr=192.0.2.1"] {
            let (host, more) = host.split_once('?').unwrap_or((host, ""));
            let url = |mode: &str| format!("postgres://dt:hush@{host}/dt?sslmode={mode}&{more}");
            let said = refused(&url("disable"));
            assert!(said.contains("another machine") && said.contains("database.plaintext"), "{said}");
            assert!(!said.contains("hush"), "{said}");
            assert_eq!(mode(&url("prefer"), false), SslMode::Require, "{host}");
            assert_eq!(mode(&format!("postgres://dt@{host}/dt?{more}"), false), SslMode::Require, "{host}");
            assert_eq!(mode(&url("require"), false), SslMode::Require, "{host}");

            assert_eq!(mode(&url("disable"), true), SslMode::Disable, "{host}");
            assert_eq!(mode(&url("prefer"), true), SslMode::Prefer, "{host}");
            assert_eq!(mode(&url("require"), true), SslMode::Require, "{host}");
        }
        let said = refused("host=192.0.2.1 user=dt password=hush sslmode=disable");
        assert!(said.contains("another machine"), "in libpq's other form, too: {said}");
    }

    #[test]
    fn fault_11_on_this_machine_the_url_decides() {
        for host in ["localhost", "127.0.0.1", "[::1]", "db?hostaddr=127.0.0.1"] {
            let (host, more) = host.split_once('?').unwrap_or((host, ""));
            let mode = |mode: &str| self::mode(&format!("postgres://dt@{host}/dt?{more}&sslmode={mode}"), false);
            assert_eq!(mode("disable"), SslMode::Disable, "{host}");
            assert_eq!(mode("prefer"), SslMode::Prefer, "{host}");
            assert_eq!(mode("require"), SslMode::Require, "{host}");
        }
        assert_eq!(
            mode("postgres://%2Frun%2Fpostgresql/dt?sslmode=require", false),
            SslMode::Disable,
            "a socket has none"
        );
    }

    #[test]
    fn fault_11_what_is_no_mode_and_what_a_mode_lacks_is_said() {
        let url = |parameters: &str| format!("postgres://dt:hush@127.0.0.1/dt?{parameters}");
        for (parameters, why) in [
            ("sslmode=verify-ca", "use verify-full"),
            ("sslmode=allow", "disable, prefer, require or verify-full"),
            ("sslmode=", "disable, prefer, require or verify-full"),
            ("sslmode=verify-full", "needs sslrootcert"),
            ("sslrootcert=/nowhere", "is for sslmode=verify-full"),
            ("sslmode=require&sslrootcert=/nowhere", "is for sslmode=verify-full"),
            ("sslmode=verify-full&sslrootcert=/no%20where", "/no where"),
            ("sslmode=verify-full&sslrootcert=/dev/null", "no certificate in it"),
            ("sslmod=require", "sslmod"),
        ] {
            let said = refused(&url(parameters));
            assert!(
                said.starts_with("database.url") && said.contains(why) && !said.contains("hush"),
                "{parameters}: {said}"
            );
        }
    }

    #[test]
    fn fault_11_a_password_that_looks_like_more_of_the_url_is_not_repeated() {
        let urls = [
            "postgres://dt:hu@sh@db/dt",
            "postgres://dt:a@hush?hush=1@db/dt",
            "postgres://dt:a@hush?hush@db/dt",
            "postgres://dt:a@b?sslmode=hush@db/dt",
            "host=db password=a hush=b",
            "hush",
        ];
        for url in urls {
            let said = refused(url);
            assert!(said.contains("database.url") && !said.contains("sh@") && !said.contains("hush"), "{url}: {said}");
        }
        let access = Access::of_url("postgres://dt:hush@db/dt", false).unwrap();
        assert!(!format!("{access:?}").contains("hush"), "{access:?}");
    }
}
