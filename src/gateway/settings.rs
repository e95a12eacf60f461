//! The merchant at WeChat, as configured, and the client that is made of it.

use std::path::{Path, PathBuf};

use deeptravel_wechat::{Certificates, Client, Config as WechatConfig, official_failover};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::secrets::{named, read_secret, read_text};

/// Keys of the configuration that name files of keys.
const MERCHANT_KEY: &str = "wechat.merchant_private_key_file";
const PUBLIC_KEY: &str = "wechat.public_key_file";

/// Section `wechat` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WechatSettings {
    /// Empty in the demo: its own simulator.
    pub base_url: String,
    failover_base_url: String,
    api_base_url: String,
    appid: String,
    app_secret: SecretString,
    app_secret_file: PathBuf,
    mchid: String,
    merchant_serial: String,
    merchant_private_key_file: PathBuf,
    api_v3_key: SecretString,
    api_v3_key_file: PathBuf,
    public_key_id: String,
    public_key_file: PathBuf,
    pub certificates: Certificates,
    notify_base_url: String,
}

impl WechatSettings {
    /// Of each file.
    pub fn read_files(&mut self) -> [anyhow::Result<()>; 2] {
        [
            read_secret(&mut self.app_secret, &self.app_secret_file, "wechat.app_secret_file"),
            read_secret(&mut self.api_v3_key, &self.api_v3_key_file, "wechat.api_v3_key_file"),
        ]
    }

    /// Keys that production needs and that are not set, nor their files.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let is_named = |path: &Path| !path.as_os_str().is_empty();
        let has = |secret: &SecretString, file| !secret.expose_secret().is_empty() || is_named(file);
        let is_set = [
            ("wechat.base_url", !self.base_url.is_empty()),
            ("wechat.api_base_url", !self.api_base_url.is_empty()),
            ("wechat.appid", !self.appid.is_empty()),
            ("wechat.app_secret", has(&self.app_secret, &self.app_secret_file)),
            ("wechat.mchid", !self.mchid.is_empty()),
            ("wechat.merchant_serial", !self.merchant_serial.is_empty()),
            (MERCHANT_KEY, is_named(&self.merchant_private_key_file)),
            ("wechat.api_v3_key", has(&self.api_v3_key, &self.api_v3_key_file)),
            ("wechat.notify_base_url", self.is_notified()),
        ];
        is_set.into_iter().filter(|(_, is_set)| !is_set).map(|(key, _)| key)
    }

    /// Why files of keys that are named cannot be read. Those of secrets are said by [`WechatSettings::read_files`].
    pub fn unread(&self) -> impl Iterator<Item = anyhow::Error> {
        let files = named([(MERCHANT_KEY, &*self.merchant_private_key_file), (PUBLIC_KEY, &*self.public_key_file)]);
        files.into_iter().filter_map(|(key, path)| read_text(path, key).err())
    }

    /// Files with secrets, by the keys that name them.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        named([
            ("wechat.app_secret_file", &*self.app_secret_file),
            ("wechat.api_v3_key_file", &*self.api_v3_key_file),
            (MERCHANT_KEY, &*self.merchant_private_key_file),
        ])
    }

    /// Where WeChat is called, and where it calls.
    pub fn urls(&self) -> [(&'static str, &str); 4] {
        [
            ("wechat.base_url", &self.base_url),
            ("wechat.failover_base_url", &self.failover_base_url),
            ("wechat.api_base_url", &self.api_base_url),
            ("wechat.notify_base_url", &self.notify_base_url),
        ]
    }

    /// Secrets of both sides, to be compared with others. Not to be shown.
    pub fn keys(&self) -> Vec<(&'static str, Vec<u8>)> {
        let secrets = [("wechat.app_secret", &self.app_secret), ("wechat.api_v3_key", &self.api_v3_key)];
        let bytes = secrets.map(|(key, secret)| (key, secret.expose_secret().as_bytes().to_vec()));
        bytes.into_iter().filter(|(_, secret)| !secret.is_empty()).collect()
    }

    /// Whether WeChat is told where to call.
    fn is_notified(&self) -> bool {
        !self.notify_base_url.is_empty()
    }

    /// The client of a server with this URL; errors name the key.
    pub fn client(&self, own_url: &str) -> anyhow::Result<Client> {
        let notify_base = self.notify_base(own_url);
        let failover_base_url = match self.failover_base_url.as_str() {
            "" => official_failover(&self.base_url).map(str::to_owned),
            "off" => None,
            set => Some(set.to_owned()),
        };
        let merchant_private_key_pem = read_text(&self.merchant_private_key_file, MERCHANT_KEY)?;
        let public_key_pem = match self.public_key_file.as_os_str() {
            unset if unset.is_empty() => String::new(),
            _ => read_text(&self.public_key_file, PUBLIC_KEY)?,
        };
        Client::new(WechatConfig {
            base_url: self.base_url.clone(),
            failover_base_url,
            api_base_url: self.api_base_url.clone(),
            appid: self.appid.clone(),
            app_secret: self.app_secret.expose_secret().to_owned(),
            mchid: self.mchid.clone(),
            merchant_serial: self.merchant_serial.clone(),
            merchant_private_key_pem,
            api_v3_key: self.api_v3_key.expose_secret().to_owned(),
            public_key_id: self.public_key_id.clone(),
            public_key_pem,
            certificates: self.certificates,
            notify_url: format!("{notify_base}/payments/wechat/notify"),
            refund_notify_url: format!("{notify_base}/payments/wechat/refund-notify"),
        })
        .map_err(|error| anyhow::anyhow!("wechat.{}: {}", key_of(error.field), error.problem))
    }

    /// Where the provider calls back: as configured, otherwise this server's own URL, for a provider on this machine.
    pub fn notify_base<'a>(&'a self, own_url: &'a str) -> &'a str {
        if self.is_notified() { self.notify_base_url.trim_end_matches('/') } else { own_url }
    }
}

/// The key of the configuration behind a field of the client's.
fn key_of(field: &'static str) -> &'static str {
    match field {
        "merchant_private_key_pem" => "merchant_private_key_file",
        "public_key_pem" => "public_key_file",
        "notify_url" | "refund_notify_url" => "notify_base_url",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use deeptravel_wechat::keys::generate_merchant;

    use super::*;
    use crate::config::{Config, ConfigArgs};

    /// The client of a merchant whose `[wechat]` has these lines, too.
    fn client(lines: &str) -> anyhow::Result<Client> {
        let merchant = generate_merchant()?;
        let mut key = tempfile::NamedTempFile::new()?;
        key.write_all(merchant.private_key_pem.as_bytes())?;
        let mut file = tempfile::NamedTempFile::new()?;
        write!(
            file,
            r#"
            [wechat]
            base_url = "https://api.mch.weixin.qq.com"
            api_base_url = "https://api.weixin.qq.com"
            appid = "wx0123456789abcdef"
            app_secret = "secret"
            mchid = "1900000001"
            merchant_serial = "{}"
            merchant_private_key_file = "{}"
            api_v3_key = "0123456789abcdef0123456789abcdef"
            notify_base_url = "https://shop.example"
            {lines}
            "#,
            merchant.serial,
            key.path().display(),
        )?;
        let args = ConfigArgs { files: vec![file.path().to_owned()], ..ConfigArgs::default() };
        let config = Config::read(&args, false)?.usable()?;
        config.wechat.client(&config.server.own_url())
    }

    #[test]
    fn a_merchant_has_a_public_key_or_certificates_or_both() -> anyhow::Result<()> {
        client("")?;
        let error = client("certificates = \"off\"").map(drop).unwrap_err();
        assert!(error.to_string().contains("wechat.public_key_id"), "{error}");
        let error = client("public_key_id = \"PUB_KEY_ID_1\"").map(drop).unwrap_err();
        assert!(error.to_string().contains("wechat.public_key_file"), "{error}");
        let error = client("certificates = \"sometimes\"").map(drop).unwrap_err();
        assert!(format!("{error:#}").contains("certificates"), "{error:#}");
        Ok(())
    }

    #[test]
    fn a_provider_on_this_machine_calls_back_to_an_address_that_it_can_reach() -> anyhow::Result<()> {
        let mut config = Config::read(&ConfigArgs::default(), true)?.usable()?;
        for (listen, base) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ] {
            config.server.listen = listen.parse()?;
            assert_eq!(config.wechat.notify_base(&config.server.own_url()), base);
        }
        config.wechat.notify_base_url = "https://shop.example/".to_owned();
        assert_eq!(config.wechat.notify_base(&config.server.own_url()), "https://shop.example");
        Ok(())
    }

    #[test]
    fn wechats_own_host_gets_its_second_one_unless_that_is_off() -> anyhow::Result<()> {
        for (lines, expected) in [
            ("", true),
            ("failover_base_url = \"off\"", false),
            ("failover_base_url = \"https://api2.mch.weixin.qq.com\"", true),
        ] {
            let shown = format!("{:?}", client(lines)?);
            assert_eq!(shown.contains("api2.mch.weixin.qq.com"), expected, "{lines}");
        }
        Ok(())
    }
}
