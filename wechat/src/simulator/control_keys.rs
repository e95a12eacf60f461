//! The keys' part of the control plane: what the simulator signs with, and whose signatures it takes.

use std::sync::PoisonError;

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Simulator;
use super::control::{Refusal, bad_request, read, unknown};
use super::platform::Certificate;
use super::wire::rfc3339;
use crate::crypto::VerifyingKey;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/key", web::get().to(key))
        .route("/certificates", web::post().to(rotate))
        .route("/certificates/{serial}/sign", web::post().to(sign_with))
        .route("/certificates/{serial}", web::delete().to(retire))
        .route("/merchant-keys", web::post().to(add_merchant_key));
}

/// The simulator's public key and certificates, for whoever configures a client by hand.
async fn key(simulator: Data<Simulator>) -> HttpResponse {
    let platform = &simulator.platform;
    let (certificates, signs) = platform.certificates();
    let certificates: Vec<Value> = certificates.iter().map(|known| describe(known, known.serial == signs)).collect();
    HttpResponse::Ok().json(json!({
        "public_key_id": platform.key_id,
        "public_key_pem": platform.key_pem,
        "certificates": certificates,
    }))
}

fn describe(certificate: &Certificate, signs: bool) -> Value {
    json!({
        "serial_no": certificate.serial,
        "pem": certificate.pem,
        "effective_time": rfc3339(certificate.effective),
        "expire_time": rfc3339(certificate.expires),
        "signs": signs,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default = "yes")]
    signs: bool,
}

fn yes() -> bool {
    true
}

/// Adds a certificate: 200 with it. A key takes a while to make, so not on the thread that answers.
async fn rotate(simulator: Data<Simulator>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let Rotate { signs } = read(&body)?;
    let made = web::block(Certificate::generate).await;
    let new = made.ok().and_then(Result::ok).ok_or_else(|| bad_request("the certificate could not be made"))?;
    let new = simulator.platform.rotate(new, signs).map_err(bad_request)?;
    Ok(HttpResponse::Ok().json(describe(&new, signs)))
}

async fn sign_with(simulator: Data<Simulator>, serial: Path<String>) -> Result<HttpResponse, Refusal> {
    if !simulator.platform.sign_with(&serial) {
        return Err(unknown("no such certificate"));
    }
    Ok(HttpResponse::NoContent().finish())
}

async fn retire(simulator: Data<Simulator>, serial: Path<String>) -> Result<HttpResponse, Refusal> {
    if !simulator.platform.retire(&serial) {
        return Err(unknown("no such certificate, or it is the one that signs"));
    }
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MerchantKey {
    serial: String,
    public_key_pem: String,
}

/// Accepts one more key of the merchant, who changes certificates, too.
async fn add_merchant_key(simulator: Data<Simulator>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let MerchantKey { serial, public_key_pem } = read(&body)?;
    let key = VerifyingKey::from_pem(&public_key_pem).map_err(|error| bad_request(error.to_string()))?;
    let mut keys = simulator.merchant_keys.write().unwrap_or_else(PoisonError::into_inner);
    keys.insert(serial.to_ascii_uppercase(), key);
    Ok(HttpResponse::NoContent().finish())
}
