//! The merchant's credentials and addresses, checked once when the client is made.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use serde::Deserialize;

use crate::crypto::{ApiV3Key, KeyError, SigningKey, VerifyingKey};

/// WeChat's limit on `notify_url`, in characters.
const MAX_NOTIFY_URL: usize = 255;
/// WeChat's limit on `appid`, in characters.
const MAX_APPID: usize = 32;
/// Longest key id or serial that we take; WeChat's are below 50 characters.
const MAX_SERIAL: usize = 64;

/// Everything the client needs. Plain values as they stand in a configuration file; [`crate::Client::new`] checks them
/// and names the field that is wrong. `Debug` shows neither secrets nor keys.
#[derive(Clone)]
pub struct Config {
    /// Origin of the payment API: `https://api.mch.weixin.qq.com`, or a simulator on loopback over http.
    pub base_url: String,
    /// A second origin of the payment API for when the first cannot be reached; [`official_failover`] knows WeChat's.
    pub failover_base_url: Option<String>,
    /// Origin of the mini-program server API: `https://api.weixin.qq.com`, or a simulator on loopback over http.
    pub api_base_url: String,
    pub appid: String,
    /// The mini program's AppSecret.
    pub app_secret: String,
    /// 8 to 10 digits.
    pub mchid: String,
    /// Serial of the merchant's API certificate, hexadecimal.
    pub merchant_serial: String,
    /// PKCS#8 PEM.
    pub merchant_private_key_pem: String,
    /// Exactly 32 ASCII characters, used as they are.
    pub api_v3_key: String,
    /// `PUB_KEY_ID_…`, the id of `public_key_pem`. Both are empty for a merchant that has certificates only.
    pub public_key_id: String,
    /// WeChat Pay's public key, SubjectPublicKeyInfo PEM.
    pub public_key_pem: String,
    pub certificates: Certificates,
    /// Full address for payment notifications: https, no query string. http is accepted together with a simulator.
    pub notify_url: String,
    /// The same for refund notifications.
    pub refund_notify_url: String,
}

/// What to do about WeChat's platform certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certificates {
    /// They verify beside the public key, or instead of it, and are downloaded.
    Auto,
    /// Only the public key verifies.
    Off,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("base_url", &self.base_url)
            .field("failover_base_url", &self.failover_base_url)
            .field("api_base_url", &self.api_base_url)
            .field("appid", &self.appid)
            .field("mchid", &self.mchid)
            .field("merchant_serial", &self.merchant_serial)
            .field("public_key_id", &self.public_key_id)
            .field("certificates", &self.certificates)
            .field("notify_url", &self.notify_url)
            .field("refund_notify_url", &self.refund_notify_url)
            .finish_non_exhaustive()
    }
}

/// A field of [`Config`] that cannot be used, and why. Never repeats a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wechat.{field}: {problem}")]
pub struct ConfigError {
    /// The field's name in [`Config`].
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: impl fmt::Display) -> Self {
        Self { field, problem: problem.to_string() }
    }
}

/// The checked form.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) base: Url,
    pub(crate) failover_base: Option<Url>,
    pub(crate) api_base: Url,
    pub(crate) signing_key: SigningKey,
    pub(crate) api_v3_key: ApiV3Key,
    /// With its id.
    pub(crate) public_key: Option<(String, VerifyingKey)>,
}

impl Config {
    pub(crate) fn check(&self) -> Result<Checked, ConfigError> {
        let base = origin("base_url", &self.base_url)?;
        let failover_base =
            self.failover_base_url.as_deref().map(|url| origin("failover_base_url", url)).transpose()?;
        if failover_base.as_ref().is_some_and(|other| other.scheme() != base.scheme()) {
            return Err(ConfigError::new("failover_base_url", "must have the same scheme as base_url"));
        }
        let api_base = origin("api_base_url", &self.api_base_url)?;
        text("appid", &self.appid, 1..=MAX_APPID, |c| c.is_ascii_alphanumeric())?;
        text("app_secret", &self.app_secret, 1..=128, |c| c.is_ascii_graphic())?;
        text("mchid", &self.mchid, 8..=10, |c| c.is_ascii_digit())?;
        text("merchant_serial", &self.merchant_serial, 1..=40, |c| c.is_ascii_hexdigit())?;
        notify_url("notify_url", &self.notify_url, is_loopback(&base))?;
        notify_url("refund_notify_url", &self.refund_notify_url, is_loopback(&base))?;

        let signing_key = SigningKey::from_pem(&self.merchant_private_key_pem)
            .map_err(|error: KeyError| ConfigError::new("merchant_private_key_pem", error))?;
        let public_key = self.check_public_key()?;
        let api_v3_key = api_v3_key("api_v3_key", &self.api_v3_key)?;
        Ok(Checked { base, failover_base, api_base, signing_key, api_v3_key, public_key })
    }
}

impl Config {
    /// Something must verify: the public key, certificates, or both.
    fn check_public_key(&self) -> Result<Option<(String, VerifyingKey)>, ConfigError> {
        if self.public_key_id.is_empty() && self.public_key_pem.is_empty() && self.certificates == Certificates::Auto {
            return Ok(None);
        }
        text("public_key_id", &self.public_key_id, 1..=MAX_SERIAL, |c| c.is_ascii_alphanumeric() || c == '_')?;
        let key =
            VerifyingKey::from_pem(&self.public_key_pem).map_err(|error| ConfigError::new("public_key_pem", error))?;
        Ok(Some((self.public_key_id.clone(), key)))
    }
}

/// The failover origin of one of WeChat's own origins.
pub fn official_failover(base_url: &str) -> Option<&'static str> {
    match base_url.trim_end_matches('/') {
        "https://api.mch.weixin.qq.com" => Some("https://api2.mch.weixin.qq.com"),
        "https://api.wechatpay.cn" => Some("https://api2.wechatpay.cn"),
        _ => None,
    }
}

/// Makes the key from exactly 32 ASCII characters. Shared with the simulator, whose error names its own field.
pub(crate) fn api_v3_key(field: &'static str, value: &str) -> Result<ApiV3Key, ConfigError> {
    let key: &[u8; 32] = value
        .as_bytes()
        .try_into()
        .ok()
        .filter(|_| value.is_ascii())
        .ok_or_else(|| ConfigError::new(field, "must be exactly 32 ASCII characters"))?;
    ApiV3Key::new(key).map_err(|error| ConfigError::new(field, error))
}

fn text(
    field: &'static str,
    value: &str,
    length: std::ops::RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
) -> Result<(), ConfigError> {
    let count = value.chars().count();
    if !length.contains(&count) {
        let (least, most) = length.into_inner();
        return Err(ConfigError::new(field, format_args!("must have {least} to {most} characters, has {count}")));
    }
    if !value.chars().all(allowed) {
        return Err(ConfigError::new(field, "contains a character that is not allowed there"));
    }
    Ok(())
}

/// Scheme, host and port only: the signature covers the path as sent, so a prefix would have to be part of it.
fn origin(field: &'static str, value: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(value).map_err(|error| ConfigError::new(field, error))?;
    let login = !url.username().is_empty() || url.password().is_some();
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || login {
        return Err(ConfigError::new(field, "must be a scheme, host and port and nothing else"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(ConfigError::new(field, "must be https, or http on loopback")),
    }
}

fn notify_url(field: &'static str, value: &str, simulated: bool) -> Result<(), ConfigError> {
    let url = Url::parse(value).map_err(|error| ConfigError::new(field, error))?;
    if value.len() > MAX_NOTIFY_URL {
        return Err(ConfigError::new(field, format_args!("must have at most {MAX_NOTIFY_URL} characters")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::new(field, "must have no query string"));
    }
    if url.scheme() != "https" && !(simulated && url.scheme() == "http") {
        return Err(ConfigError::new(field, "must be https (http only together with a simulator on loopback)"));
    }
    Ok(())
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::generate_merchant;

    fn config() -> Config {
        let merchant = generate_merchant().unwrap();
        Config {
            base_url: "http://127.0.0.1:9000".into(),
            failover_base_url: Some("http://127.0.0.1:9001".into()),
            api_base_url: "https://api.weixin.qq.com".into(),
            appid: "wx0123456789abcdef".into(),
            app_secret: "the-app-secret".into(),
            mchid: "1900000001".into(),
            merchant_serial: merchant.serial,
            merchant_private_key_pem: merchant.private_key_pem,
            api_v3_key: "0123456789abcdef0123456789abcdef".into(),
            public_key_id: "PUB_KEY_ID_0119000000012026110100000000".into(),
            public_key_pem: merchant.public_key_pem,
            certificates: Certificates::Auto,
            notify_url: "http://127.0.0.1:8080/payments/wechat/notify".into(),
            refund_notify_url: "http://127.0.0.1:8080/payments/wechat/refund-notify".into(),
        }
    }

    #[test]
    fn a_complete_configuration_is_accepted() {
        let config = config();
        assert!(config.check().unwrap().public_key.is_some());
        assert!(Config { certificates: Certificates::Off, ..config.clone() }.check().is_ok());

        let old_merchant = Config { public_key_id: String::new(), public_key_pem: String::new(), ..config };
        assert!(old_merchant.check().unwrap().public_key.is_none());
    }

    #[test]
    fn each_bad_field_is_named() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 23] = [
            ("base_url", |c| c.base_url = "api.mch.weixin.qq.com".into()),
            ("base_url", |c| c.base_url = "http://pay.example.com".into()),
            ("base_url", |c| c.base_url = "https://pay.example.com/proxy".into()),
            ("base_url", |c| c.base_url = "https://:secret@pay.example.com".into()),
            ("failover_base_url", |c| c.failover_base_url = Some("https://api2.mch.weixin.qq.com".into())),
            ("failover_base_url", |c| c.failover_base_url = Some(String::new())),
            ("api_base_url", |c| c.api_base_url = String::new()),
            ("appid", |c| c.appid = String::new()),
            ("appid", |c| c.appid = "wx 1".into()),
            ("app_secret", |c| c.app_secret = String::new()),
            ("mchid", |c| c.mchid = "19000".into()),
            ("mchid", |c| c.mchid = "merchant1".into()),
            ("merchant_serial", |c| c.merchant_serial = "not hexadecimal".into()),
            ("merchant_private_key_pem", |c| c.merchant_private_key_pem = c.public_key_pem.clone()),
            ("api_v3_key", |c| c.api_v3_key = "short".into()),
            ("api_v3_key", |c| c.api_v3_key = "é".repeat(16)),
            ("public_key_id", |c| c.public_key_id = String::new()),
            ("public_key_pem", |c| c.public_key_pem = "PEM".into()),
            ("public_key_pem", |c| c.public_key_pem = String::new()),
            ("public_key_id", |c| {
                c.public_key_id = String::new();
                c.public_key_pem = String::new();
                c.certificates = Certificates::Off;
            }),
            ("notify_url", |c| c.notify_url = "https://shop.example/notify?order=1".into()),
            ("refund_notify_url", |c| c.refund_notify_url = "refund-notify".into()),
            ("notify_url", |c| {
                c.failover_base_url = None;
                c.base_url = "https://api.mch.weixin.qq.com".into();
                c.notify_url = "http://shop.example/notify".into();
            }),
        ];
        let good = config();
        for (field, spoil) in cases {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(bad.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn wechats_own_hosts_have_a_second_one() {
        assert_eq!(official_failover("https://api.mch.weixin.qq.com/"), Some("https://api2.mch.weixin.qq.com"));
        assert_eq!(official_failover("https://api.wechatpay.cn"), Some("https://api2.wechatpay.cn"));
        assert_eq!(official_failover("http://127.0.0.1:9000"), None);
    }

    #[test]
    fn secrets_do_not_show() {
        let config = config();
        let shown = format!("{config:?}");
        for secret in [&config.app_secret, &config.api_v3_key, &config.merchant_private_key_pem] {
            assert!(!shown.contains(secret.as_str()));
        }
    }
}
