//! The client against OpenSSL and Python (see `vectors/README.md`).

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use deeptravel_wechat::{
    Certificates, Client, Config, NotificationError, NotificationHeaders, PrepayId, Resource, TradeState,
};
use jiff::Timestamp;

const PRIVATE_KEY: &str = include_str!("vectors/test-key.pem");
const PUBLIC_KEY: &str = include_str!("vectors/test-key-public.pem");
const PAY_SIGN: &str = include_str!("vectors/pay-sign.txt");
const NOTIFICATION: &[u8] = include_bytes!("vectors/notification.json");
const NOTIFICATION_SIGNATURE: &str = include_str!("vectors/notification-signature.txt");

/// The same key pair plays merchant and WeChat.
fn client() -> Client {
    Client::new(Config {
        base_url: "https://api.mch.weixin.qq.com".into(),
        failover_base_url: None,
        api_base_url: "https://api.weixin.qq.com".into(),
        appid: "wx2421b1c4370ec43b".into(),
        app_secret: "app-secret".into(),
        mchid: "1900000001".into(),
        merchant_serial: "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C".into(),
        merchant_private_key_pem: PRIVATE_KEY.into(),
        api_v3_key: "0123456789abcdef0123456789abcdef".into(),
        public_key_id: "PUB_KEY_ID_0000".into(),
        public_key_pem: PUBLIC_KEY.into(),
        certificates: Certificates::Auto,
        notify_url: "https://shop.example/payments/wechat/notify".into(),
        refund_notify_url: "https://shop.example/payments/wechat/refund-notify".into(),
    })
    .unwrap()
}

#[test]
fn the_pay_signature_is_what_openssl_makes() {
    let prepay_id = PrepayId::parse("wx201410272009395522657a690389285100").unwrap();
    let params = client().pay_params(&prepay_id, 1_554_208_460, "593BEC0C930BF1AFEB40B4A08C8FB242").unwrap();
    assert_eq!(params.pay_sign, PAY_SIGN);
    assert_eq!(params.package, "prepay_id=wx201410272009395522657a690389285100");
    assert_eq!(params.time_stamp, "1554208460");
}

#[test]
fn a_notification_signed_by_openssl_and_sealed_by_python_is_read() {
    let headers = NotificationHeaders {
        timestamp: Some("1722850421"),
        nonce: Some("d824f2e086d3c1df967785d13fcd22ef"),
        signature: Some(NOTIFICATION_SIGNATURE),
        serial: Some("PUB_KEY_ID_0000"),
        signature_type: Some("WECHATPAY2-SHA256-RSA2048"),
    };
    let now = Timestamp::from_second(1_722_850_430).unwrap();

    let notification = client().verify_notification(&headers, NOTIFICATION, now).unwrap();
    let Resource::Transaction(fact) = notification.resource else { panic!("not a transaction") };
    assert_eq!(notification.id, "EV-1");
    assert_eq!((fact.trade_state, fact.amount.unwrap().total), (TradeState::Success, 100));
    assert_eq!((fact.out_trade_no.as_str(), fact.attach.as_deref()), ("T-vector", Some("订单")));
    assert_eq!(fact.success_time, Some("2024-08-05T09:33:40Z".parse().unwrap()));

    let later = Timestamp::from_second(1_722_850_421 + 300).unwrap();
    assert_eq!(client().verify_notification(&headers, NOTIFICATION, later), Err(NotificationError::Age));
}
