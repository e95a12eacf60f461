//! A notification's bytes: the content encrypted, the envelope around it, the signature over both.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::web::Bytes;
use http_body::{Body, Frame, SizeHint};
use serde_json::{Value, json};
use tokio::time::Sleep;

use super::Simulator;
use super::faults::{Fault, Tamper};
use super::refund::RefundStatus;
use super::wire::{ALGORITHM, Envelope, Sealed, rfc3339};
use crate::crypto::{ApiV3Key, CryptoFailure, GCM_NONCE_BYTES, random_nonce};

pub(super) type Headers = Vec<(&'static str, String)>;

/// What is said, and where to.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) url: String,
    pub(super) event_type: &'static str,
    original_type: &'static str,
    summary: &'static str,
    content: Value,
}

impl Message {
    pub(super) fn payment((url, content): (String, Value)) -> Self {
        let (event_type, original_type) = ("TRANSACTION.SUCCESS", "transaction");
        Self { url, event_type, original_type, summary: "支付成功", content }
    }

    pub(super) fn refund(status: RefundStatus, url: &str, content: &Value) -> Self {
        let (event_type, summary) = match status {
            // Nothing is sent while a refund is on its way.
            RefundStatus::Success | RefundStatus::Processing => ("REFUND.SUCCESS", "退款成功"),
            RefundStatus::Abnormal => ("REFUND.ABNORMAL", "退款异常"),
            RefundStatus::Closed => ("REFUND.CLOSED", "退款关闭"),
        };
        Self { url: url.to_owned(), event_type, original_type: "refund", summary, content: content.clone() }
    }
}

/// What API v2 posts about a refund; its `req_info` would be encrypted.
const V2_XML: &str = "<xml><return_code>SUCCESS</return_code><appid><![CDATA[wx0]]></appid>\
    <req_info><![CDATA[T87GAHG17TGAHG1TGHAHAHA1Y1CIOA9UGJH1GAHV871HAGAGQYQQPOOJMXNBCXBVNMNMAJAA]]></req_info></xml>";

/// The signed headers and the body of one attempt, spoilt as `fault` says.
pub(super) fn compose(
    simulator: &Simulator,
    id: &str,
    message: &Message,
    fault: &Fault,
) -> Result<(Headers, Vec<u8>), CryptoFailure> {
    if fault.v2_xml {
        return Ok((Vec::new(), V2_XML.into()));
    }
    let mut content = message.content.clone();
    if let Some(tamper) = &fault.tamper {
        apply(tamper, &mut content);
    }
    let envelope = Envelope {
        id: id.to_owned(),
        create_time: rfc3339(simulator.now()),
        event_type: message.event_type,
        resource_type: "encrypt-resource",
        summary: message.summary,
        resource: Sealed {
            original_type: Some(message.original_type),
            ..seal(simulator, message.original_type, content.to_string().as_bytes(), fault)?
        },
    };
    let mut body = serde_json::to_vec(&envelope).map_err(|_| CryptoFailure)?;
    let headers = simulator.sign_notification(&body, fault)?;
    fault.spoil(&mut body);
    Ok((headers, body))
}

/// Encrypts under the API v3 key, or under another if a fault says so.
pub(super) fn seal(
    simulator: &Simulator,
    associated_data: &'static str,
    plaintext: &[u8],
    fault: &Fault,
) -> Result<Sealed, CryptoFailure> {
    let nonce: String = random_nonce().chars().take(GCM_NONCE_BYTES).collect();
    let ciphertext = if fault.wrong_api_key {
        ApiV3Key::new(b"another-key-another-key-another!")?.seal(&nonce, associated_data, plaintext)?
    } else {
        simulator.api_v3_key.seal(&nonce, associated_data, plaintext)?
    };
    Ok(Sealed { original_type: None, algorithm: ALGORITHM, ciphertext, associated_data, nonce })
}

/// Puts a test's values over the true ones. A refund's notification has neither payer nor appid to change.
pub(super) fn apply(tamper: &Tamper, content: &mut Value) {
    let texts = [
        ("appid", &tamper.appid),
        ("mchid", &tamper.mchid),
        ("out_trade_no", &tamper.out_trade_no),
        ("transaction_id", &tamper.transaction_id),
        ("trade_state", &tamper.trade_state),
        ("out_refund_no", &tamper.out_refund_no),
        ("refund_id", &tamper.refund_id),
        ("refund_status", &tamper.refund_status),
    ];
    for (field, value) in texts {
        if let Some(value) = value {
            content[field] = json!(value);
        }
    }
    if let Some(openid) = &tamper.openid {
        content["payer"]["openid"] = json!(openid);
    }
    for (field, value) in [("total", tamper.total), ("refund", tamper.refund)] {
        if let Some(value) = value {
            content["amount"][field] = json!(value);
        }
    }
    if let Some(currency) = &tamper.currency {
        content["amount"]["currency"] = json!(currency);
    }
}

/// A body that comes a byte at a time.
pub(super) fn dribble(body: Vec<u8>, gap: Duration) -> reqwest::Body {
    reqwest::Body::wrap(Dribble { rest: body.into(), gap, pause: Box::pin(tokio::time::sleep(gap)) })
}

struct Dribble {
    rest: Bytes,
    gap: Duration,
    pause: Pin<Box<Sleep>>,
}

impl Body for Dribble {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let gap = self.gap;
        self.pause.set(tokio::time::sleep(gap));
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(1)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
