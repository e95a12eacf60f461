//! A callback in the hands of somebody who alters it.

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::client::Client;
use crate::shop::text;

/// Every so many bytes of the body one is altered; of the headers every one is.
const STRIDE: usize = 7;

/// A callback as the simulator sent it.
#[derive(Clone)]
pub struct Notice {
    /// Where to.
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Notice {
    pub fn of(delivery: &Value) -> Notice {
        let headers = delivery["headers"].as_object().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        let path = text(&delivery["url"]).parse::<reqwest::Url>().unwrap().path().to_owned();
        Notice { path, headers, body: text(&delivery["body"]).into_bytes() }
    }

    pub fn request(&self, client: &Client) -> RequestBuilder {
        let request = client.request(reqwest::Method::POST, &self.path);
        let request = request.header("Content-Type", "application/json").body(self.body.clone());
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// What is altered, and the altered notice.
    pub fn altered(&self) -> Vec<(String, Notice)> {
        let mut all = Vec::new();
        for (header, (name, value)) in self.headers.iter().enumerate() {
            for index in 0..value.len() {
                let mut notice = self.clone();
                let mut bytes = value.clone().into_bytes();
                // The last bit: of base64's last character it is one that no byte uses.
                bytes[index] = if bytes[index] == b'=' { b'A' } else { bytes[index] ^ 1 };
                notice.headers[header].1 = String::from_utf8(bytes).unwrap();
                all.push((format!("{name}[{index}]"), notice));
            }
        }
        for index in (0..self.body.len()).step_by(STRIDE) {
            let mut notice = self.clone();
            notice.body[index] ^= 1;
            all.push((format!("body[{index}]"), notice));
        }
        for header in self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Wechatpay-Signature-Type")) {
            let mut notice = self.clone();
            notice.headers.retain(|other| other != header);
            all.push((format!("without {}", header.0), notice));
        }
        let spoils: [fn(&mut Vec<u8>); 3] = [Vec::clear, |body| body.push(b'\n'), |body| body.truncate(body.len() - 1)];
        for (number, spoil) in spoils.into_iter().enumerate() {
            let mut notice = self.clone();
            spoil(&mut notice.body);
            all.push((format!("spoil {number}"), notice));
        }
        all
    }
}
