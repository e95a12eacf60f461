//! A client that does everything by hand, without the crate's own code.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::{MCHID, World, merchant};

/// The base64 signature of the five lines, made without the crate's own code.
fn sign(method: &str, target: &str, timestamp: &str, nonce: &str, body: &str) -> String {
    let pem = &merchant().private_key_pem;
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    let message = format!("{method}\n{target}\n{timestamp}\n{nonce}\n{body}\n");
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    STANDARD.encode(signature)
}

pub fn authorization(method: &str, target: &str, timestamp: i64, body: &str) -> String {
    let signature = sign(method, target, &timestamp.to_string(), "nonce", body);
    format!(
        "WECHATPAY2-SHA256-RSA2048 serial_no=\"{}\",signature=\"{signature}\",timestamp=\"{timestamp}\",\
         mchid=\"{MCHID}\",nonce_str=\"nonce\"",
        merchant().serial
    )
}

pub struct Raw {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Raw {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

pub async fn send(world: &World, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Raw {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{target}", world.simulator.base_url());
    let mut request = http.request(method.parse().unwrap(), url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Raw { status, headers, body: response.text().await.unwrap() }
}

pub async fn signed(world: &World, method: &str, target: &str, body: &str) -> Raw {
    let authorization = authorization(method, target, Timestamp::now().as_second(), body);
    let headers = [("Authorization", authorization.as_str()), ("Accept", "application/json"), ("User-Agent", "test")];
    send(world, method, target, &headers, body).await
}
