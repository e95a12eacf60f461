//! The provider's control plane: everything that it can do wrong, and what really happened to money.

use std::collections::BTreeMap;

use anyhow::bail;
use deeptravel::testing::suite;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a fault does, and how likely it is to strike a call.
type Likely = (f64, Value);

pub struct Provider {
    client: Client,
    base: String,
}

/// What really happened, in fen.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Money {
    pub paid: i64,
    pub refunded: i64,
    /// Accepted, and not arrived.
    pub refunding: i64,
    pub transactions: Vec<Transaction>,
}

/// A transaction that was paid.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Transaction {
    pub out_trade_no: String,
    pub paid: i64,
    pub refunds: Vec<Refund>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Refund {
    pub out_refund_no: String,
    pub amount: i64,
    pub status: String,
}

impl Provider {
    pub fn new(base_url: &str) -> Provider {
        Provider { client: Client::new(), base: format!("{base_url}/_sim") }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<String> {
        suite::used_in(body);
        let response = self.client.request(method, format!("{}{path}", self.base)).json(body).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        if !status.is_success() {
            bail!("the provider's {path} says {status}: {text}");
        }
        Ok(text)
    }

    pub async fn set(&self, settings: &Value) -> anyhow::Result<()> {
        self.call(Method::POST, "/settings", settings).await.map(drop)
    }

    /// Switches every fault on at once.
    pub async fn misbehave(&self) -> anyhow::Result<()> {
        for (endpoint, faults) in every_fault() {
            for (probability, mut fault) in faults {
                fault["probability"] = json!(probability);
                self.call(Method::POST, "/faults", &json!({ endpoint: fault })).await?;
            }
        }
        Ok(())
    }

    pub async fn behave(&self) -> anyhow::Result<()> {
        self.call(Method::DELETE, "/faults", &json!({})).await.map(drop)
    }

    pub async fn money(&self) -> anyhow::Result<Money> {
        Ok(serde_json::from_str(&self.call(Method::GET, "/money", &json!({})).await?)?)
    }

    /// How many transactions there are, paid or not.
    pub async fn transactions(&self) -> anyhow::Result<usize> {
        let all: Vec<Value> = serde_json::from_str(&self.call(Method::GET, "/transactions", &json!({})).await?)?;
        Ok(all.len())
    }

    /// Says once more that a transaction was paid.
    pub async fn tell_again(&self, number: &str) -> anyhow::Result<()> {
        self.call(Method::POST, &format!("/transactions/{number}/notify"), &json!({})).await.map(drop)
    }

    /// A refund that could not arrive does.
    pub async fn mend(&self, refund: &str) -> anyhow::Result<()> {
        let body = json!({ "status": "SUCCESS" });
        self.call(Method::POST, &format!("/refunds/{refund}/settle"), &body).await.map(drop)
    }
}

/// Whatever an answer can suffer, with or without its effect. In half a dozen calls one is struck.
fn of_answers() -> Vec<Likely> {
    vec![
        (0.02, json!({ "drop_before": true })),
        (0.03, json!({ "drop_after": true })),
        (0.02, json!({ "status_before": 500 })),
        (0.03, json!({ "status_after": 502 })),
        (0.01, json!({ "status_before": 429, "error_code": "FREQUENCY_LIMITED" })),
        (0.02, json!({ "delay_before_ms": 700 })),
        (0.02, json!({ "delay_after_ms": 700 })),
        (0.01, json!({ "signtest": "decodable" })),
        (0.01, json!({ "signtest": "undecodable" })),
        (0.01, json!({ "wrong_serial": true })),
        (0.02, json!({ "other_key": true })),
        (0.01, json!({ "stale_seconds": 400 })),
        (0.01, json!({ "missing_header": "Wechatpay-Signature" })),
        (0.01, json!({ "alter_body": true })),
        (0.01, json!({ "truncate_body": true })),
    ]
}

/// Whatever a notification can suffer.
fn of_notices() -> Vec<Likely> {
    vec![
        (0.10, json!({ "lose_notify": true })),
        (0.10, json!({ "notify_later_seconds": 1.5 })),
        (0.10, json!({ "duplicate_notify": 3 })),
        (0.03, json!({ "delay_before_ms": 700 })),
        (0.02, json!({ "signtest": "decodable" })),
        (0.02, json!({ "signtest": "undecodable" })),
        (0.02, json!({ "wrong_serial": true })),
        (0.02, json!({ "stale_seconds": 400 })),
        (0.02, json!({ "alter_body": true })),
        (0.02, json!({ "reserialise_body": true })),
        (0.02, json!({ "wrong_api_key": true })),
        (0.02, json!({ "missing_header": "Wechatpay-Nonce" })),
    ]
}

fn every_fault() -> BTreeMap<&'static str, Vec<Likely>> {
    let answers = |special: &[Likely]| [special, &of_answers()].concat();
    let notices = |special: &[Likely]| [special, &of_notices()].concat();
    BTreeMap::from([
        (
            "create",
            answers(&[
                (0.03, json!({ "pay_first": true })),
                (0.02, json!({ "status_before": 400, "error_code": "PARAM_ERROR" })),
                // No provider should refuse what it has done. Two payments of one order can be paid then.
                (0.02, json!({ "status_after": 400, "error_code": "PARAM_ERROR" })),
            ]),
        ),
        ("query", answers(&[(0.10, json!({ "lag_seconds": 2.0 })), (0.02, json!({ "tamper": { "total": 1 } }))])),
        (
            "close",
            answers(&[
                (0.10, json!({ "pay_during": true })),
                (0.10, json!({ "paid_later_seconds": 1.5 })),
                (0.05, json!({ "no_effect": true })),
            ]),
        ),
        (
            "refund",
            answers(&[
                (0.10, json!({ "refund_becomes": "CLOSED" })),
                (0.10, json!({ "refund_becomes": "ABNORMAL" })),
                (0.05, json!({ "refund_becomes": "PROCESSING" })),
                (0.05, json!({ "status_before": 403, "error_code": "NOT_ENOUGH" })),
            ]),
        ),
        ("refund_query", answers(&[(0.02, json!({ "tamper": { "refund": 1 } }))])),
        (
            "notify",
            notices(&[
                (0.03, json!({ "tamper": { "total": 1 } })),
                (0.01, json!({ "tamper": { "openid": "oT9_somebody-else" } })),
                (0.01, json!({ "tamper": { "mchid": "1900000001" } })),
                (0.02, json!({ "after_refund": true })),
                (0.01, json!({ "slow_body_ms": 20 })),
            ]),
        ),
        ("refund_notify", notices(&[(0.03, json!({ "tamper": { "refund": 1 } })), (0.03, json!({ "v2_xml": true }))])),
    ])
}
