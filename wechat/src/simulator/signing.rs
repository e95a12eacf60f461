//! The other end of the signatures: reads and checks the merchant's `Authorization`, signs what the simulator says.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde_json::json;

use super::Simulator;
use super::api_error::ApiError;
use super::compose::Headers;
use super::faults::{Fault, SignTest};
use super::platform::Signer;
use super::requests::Request;
use super::wire::{NONCE, SERIAL, SIGNATURE, SIGNATURE_TYPE, SIGNTEST_PREFIX, TIMESTAMP, TYPE};
use crate::crypto::{CryptoFailure, random_nonce};

/// A request whose clock differs by more than this many seconds is refused before its signature is looked at.
const WINDOW_SECONDS: u64 = 300;
/// How much of the signed message an error shows, in lines, as WeChat does.
const SHOWN_LINES: usize = 4;

/// The names of an `Authorization` header's parts.
const NAMES: [&str; 5] = ["mchid", "nonce_str", "signature", "timestamp", "serial_no"];

/// The parts of an `Authorization` header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Authorization {
    mchid: String,
    nonce_str: String,
    signature: String,
    timestamp: String,
    serial_no: String,
}

impl Authorization {
    /// Key and quoted value pairs in any order; nothing may be missing or doubled.
    fn parse(header: &str) -> Option<Self> {
        let (scheme, mut rest) = header.split_once(' ')?;
        if scheme != SIGNATURE_TYPE {
            return None;
        }
        let mut parts = [const { None::<&str> }; 5];
        loop {
            let (name, after) = rest.trim_start().split_once('=')?;
            let (value, after) = after.strip_prefix('"')?.split_once('"')?;
            if let Some(index) = NAMES.iter().position(|known| *known == name)
                && parts.get_mut(index)?.replace(value).is_some()
            {
                return None;
            }
            let after = after.trim_start();
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix(',')?;
        }
        let [mchid, nonce_str, signature, timestamp, serial_no] = parts.map(|part| part.map(str::to_owned));
        let read = Self {
            mchid: mchid?,
            nonce_str: nonce_str?,
            signature: signature?,
            timestamp: timestamp?,
            serial_no: serial_no?,
        };
        let all = [&read.mchid, &read.nonce_str, &read.signature, &read.timestamp, &read.serial_no];
        all.iter().all(|value| !value.is_empty()).then_some(read)
    }
}

impl Simulator {
    /// Checks a request of the payment API in WeChat's order: agent, header, clock, merchant, serial, signature. The
    /// signature is checked over the request target and body exactly as they came.
    pub(super) fn authenticate(&self, request: &HttpRequest, body: &[u8]) -> Result<(), ApiError> {
        for name in ["user-agent", "accept"] {
            if request.headers().get(name).is_none_or(actix_web::http::header::HeaderValue::is_empty) {
                return Err(ApiError::new(400, "INVALID_REQUEST", format!("Http头缺少{name}")));
            }
        }
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let malformed = if request.path().starts_with("/v3/pay/transactions/") {
            "签名信息错误，验签失败"
        } else {
            "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
        };
        let given = header.and_then(Authorization::parse).ok_or_else(|| sign_error(malformed))?;

        let timestamp: i64 =
            given.timestamp.parse().map_err(|_| sign_error("Http头Authorization中的timestamp不是秒级时间戳"))?;
        if Timestamp::now().as_second().abs_diff(timestamp) > WINDOW_SECONDS {
            return Err(sign_error("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"));
        }
        let key = self.merchant_key(&given.serial_no).filter(|_| given.mchid == self.merchant.mchid);
        let key = key.ok_or_else(|| sign_error("商户证书序列号有误，请使用签名私钥匹配的证书序列号"))?;

        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let mut message = Vec::with_capacity(body.len() + 256);
        for line in [request.method().as_str(), target, &given.timestamp, &given.nonce_str] {
            message.extend_from_slice(line.as_bytes());
            message.push(b'\n');
        }
        message.extend_from_slice(body);
        message.push(b'\n');
        let verified = key.verifies(&message, &given.signature);
        self.note(Request {
            method: request.method().to_string(),
            target: target.to_owned(),
            timestamp: given.timestamp,
            nonce: given.nonce_str,
            body: String::from_utf8_lossy(body).into_owned(),
            signature: given.signature,
            mchid: given.mchid,
            serial: given.serial_no,
            verified,
        });
        if verified {
            return Ok(());
        }
        let shown: String = String::from_utf8_lossy(&message).split_inclusive('\n').take(SHOWN_LINES).collect();
        Err(sign_error("签名错误，请检查后再试").with_detail(json!({
            "field": "signature",
            "location": "authorization",
            "detail": { "issue": "sign not match" },
            "sign_information": {
                "method": request.method().as_str(),
                "url": target,
                "truncated_sign_message": shown,
                "sign_message_length": message.len(),
            },
        })))
    }

    /// The headers of an answer to `request`, freshly made, spoilt as `fault` says.
    pub(super) fn sign_answer(
        &self,
        request: &HttpRequest,
        body: &[u8],
        fault: &Fault,
    ) -> Result<Headers, CryptoFailure> {
        let requested = request.headers().get(SERIAL).and_then(|value| value.to_str().ok());
        self.sign(&self.platform.answers(requested, &self.settings(), fault), body, fault)
    }

    /// The headers of one attempt of a notification, freshly made, spoilt as `fault` says.
    pub(super) fn sign_notification(&self, body: &[u8], fault: &Fault) -> Result<Headers, CryptoFailure> {
        self.sign(&self.platform.notifies(&self.settings(), fault), body, fault)
    }

    /// The five headers that make `body` ours.
    fn sign(&self, signer: &Signer, body: &[u8], fault: &Fault) -> Result<Headers, CryptoFailure> {
        let timestamp = Timestamp::now().as_second().saturating_sub(fault.stale_seconds).to_string();
        let nonce = random_nonce();
        let message = [timestamp.as_bytes(), nonce.as_bytes(), body, b""].join(&b'\n');
        let (right_serial, right) = self.platform.sign(signer, &message)?;
        let signature = match fault.signtest {
            None => right,
            Some(SignTest::Decodable) => format!("{SIGNTEST_PREFIX}{}", right.split_at(SIGNTEST_PREFIX.len()).1),
            Some(SignTest::Undecodable) => format!("{SIGNTEST_PREFIX}{nonce}!"),
        };
        let serial = if fault.wrong_serial { other_serial(&right_serial) } else { right_serial };
        let mut headers = vec![
            (TIMESTAMP, timestamp),
            (NONCE, nonce),
            (SIGNATURE, signature),
            (SERIAL, serial),
            (TYPE, SIGNATURE_TYPE.to_owned()),
        ];
        if let Some(missing) = &fault.missing_header {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case(missing));
        }
        Ok(headers)
    }
}

/// A serial of the same shape that nobody has: its last character is another.
fn other_serial(serial: &str) -> String {
    let mut other = serial.to_owned();
    let last = other.pop();
    other.push(if last == Some('9') { '8' } else { '9' });
    other
}

fn sign_error(message: &str) -> ApiError {
    ApiError::new(401, "SIGN_ERROR", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Authorization {
        Authorization {
            mchid: "1".into(),
            nonce_str: "n".into(),
            signature: "a+/b==".into(),
            timestamp: "5".into(),
            serial_no: "AB".into(),
        }
    }

    #[test]
    fn the_parts_may_come_in_any_order() {
        for pairs in [
            r#"mchid="1",nonce_str="n",timestamp="5",serial_no="AB",signature="a+/b==""#,
            r#"mchid="1",serial_no="AB",timestamp="5",nonce_str="n",signature="a+/b==""#,
            r#"signature="a+/b==", mchid="1" , nonce_str="n",timestamp="5",serial_no="AB",other="x=y,z""#,
        ] {
            assert_eq!(Authorization::parse(&format!("{SIGNATURE_TYPE} {pairs}")), Some(expected()), "{pairs}");
        }
    }

    #[test]
    fn anything_missing_doubled_or_unquoted_is_no_authorization() {
        for header in [
            "",
            "Bearer token",
            r#"WECHATPAY2-SHA256-RSA2048 mchid="1""#,
            r#"WECHATPAY2-SHA256-RSA2048 mchid=1,nonce_str="n",timestamp="5",serial_no="AB",signature="s""#,
            r#"WECHATPAY2-SHA256-RSA2048 mchid="",nonce_str="n",timestamp="5",serial_no="AB",signature="s""#,
            r#"WECHATPAY2-SHA256-RSA2048 mchid="1",mchid="1",nonce_str="n",timestamp="5",serial_no="AB",signature="s""#,
            r#"WECHATPAY2-SHA256-RSA2048 mchid="1",nonce_str="n",timestamp="5",serial_no="AB",signature="s"#,
            r#"WECHATPAY2-SM2-WITH-SM3 mchid="1",nonce_str="n",timestamp="5",serial_no="AB",signature="s""#,
        ] {
            assert_eq!(Authorization::parse(header), None, "{header}");
        }
    }
}
