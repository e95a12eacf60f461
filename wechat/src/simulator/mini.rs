//! The mini-program server API: login, access tokens, subscribe messages. Always 200; what went wrong is an `errcode`.

use std::collections::VecDeque;

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes, Data, Query, ServiceConfig};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Simulator;
use super::exchange;
use super::faults::Endpoint;
use super::time::later;
use crate::crypto::random_nonce;

/// How long a token is good for.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(7_200);
/// A new token is given out this long before the old one ends; both are good meanwhile.
const OVERLAP: SignedDuration = SignedDuration::from_secs(300);
/// Least distance of two forced refreshes.
const FORCE_SPACING: SignedDuration = SignedDuration::from_secs(30);
/// Only the newest messages are kept.
const MAX_MESSAGES: usize = 10_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/sns/jscode2session").route(web::get().to(login)))
        .service(web::resource("/cgi-bin/stable_token").route(web::post().to(stable_token)))
        .service(web::resource("/cgi-bin/token").route(web::get().to(token)))
        .service(web::resource("/cgi-bin/message/subscribe/send").route(web::post().to(send_message)));
}

/// Tokens given out and messages taken.
#[derive(Debug, Default)]
pub(super) struct Mini {
    /// The newest stable token, and the one before it while both are good.
    stable: Option<Token>,
    before: Option<Token>,
    /// The other kind of token: each call makes a new one, and the old one ends after the overlap.
    plain: Option<Token>,
    plain_before: Option<Token>,
    forced_at: Option<Timestamp>,
    messages: VecDeque<Value>,
}

#[derive(Clone, Debug)]
struct Token {
    text: String,
    until: Timestamp,
}

impl Token {
    fn new(now: Timestamp) -> Self {
        Self { text: format!("SIM_{}{}", random_nonce(), random_nonce()), until: later(now, TOKEN_LIFE) }
    }

    /// The same token, good for the overlap at most.
    fn ending(self, now: Timestamp) -> Self {
        Self { until: self.until.min(later(now, OVERLAP)), ..self }
    }

    fn answer(&self, now: Timestamp) -> Value {
        json!({ "access_token": self.text, "expires_in": self.until.duration_since(now).as_secs() })
    }
}

impl Mini {
    /// The same token until it is about to end; a forced refresh ends the old one at once.
    fn stable_token(&mut self, force: bool, now: Timestamp) -> Result<Value, (i64, &'static str)> {
        if force && self.forced_at.is_some_and(|at| now.duration_since(at) < FORCE_SPACING) {
            return Err((45011, "api minute-quota reach limit, mustslower, retry next minute"));
        }
        let fresh = self.stable.as_ref().filter(|token| token.until > later(now, OVERLAP)).cloned();
        let token = match fresh {
            Some(token) if !force => token,
            _ => {
                let new = Token::new(now);
                self.before = if force { None } else { self.stable.take().map(|old| old.ending(now)) };
                self.stable = Some(new.clone());
                new
            }
        };
        if force {
            self.forced_at = Some(now);
        }
        Ok(token.answer(now))
    }

    fn plain_token(&mut self, now: Timestamp) -> Value {
        let new = Token::new(now);
        self.plain_before = self.plain.take().map(|old| old.ending(now));
        let answer = new.answer(now);
        self.plain = Some(new);
        answer
    }

    fn accepts(&self, text: &str, now: Timestamp) -> bool {
        let all = [&self.stable, &self.before, &self.plain, &self.plain_before];
        all.into_iter().flatten().any(|token| token.text == text && now < token.until)
    }

    pub(super) fn invalidate(&mut self) {
        (self.stable, self.before, self.plain, self.plain_before) = (None, None, None, None);
    }

    pub(super) fn messages(&self) -> Vec<Value> {
        self.messages.iter().cloned().collect()
    }

    fn keep(&mut self, message: Value) {
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }
}

/// Serves a call: fault, effect, an answer that is 200 whatever it says.
async fn serve(
    simulator: &Simulator,
    endpoint: Endpoint,
    numbers: &[&str],
    effect: impl FnOnce() -> Result<Value, (i64, &'static str)>,
) -> HttpResponse {
    let fault = simulator.fault(endpoint, numbers);
    if let Some(response) = exchange::before(&fault).await {
        return response;
    }
    let outcome = match fault.errcode {
        Some(code) => Err((code, "a fault")),
        None => effect(),
    };
    if let Some(response) = exchange::after(&fault).await {
        return response;
    }
    let body = outcome.unwrap_or_else(
        |(code, message)| json!({ "errcode": code, "errmsg": format!("{message}, rid: {}", random_nonce()) }),
    );
    HttpResponse::Ok().content_type("text/plain").body(body.to_string())
}

fn check_app(simulator: &Simulator, appid: &str, secret: &str) -> Result<(), (i64, &'static str)> {
    if appid != simulator.merchant.appid {
        return Err((40013, "invalid appid"));
    }
    if secret != simulator.merchant.app_secret {
        return Err((40125, "invalid appsecret"));
    }
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LoginQuery {
    appid: String,
    secret: String,
    js_code: String,
    grant_type: String,
}

/// The code `demo-NAME` is openid `NAME`, as often as it is used.
async fn login(simulator: Data<Simulator>, query: Query<LoginQuery>) -> HttpResponse {
    let name = query.js_code.strip_prefix("demo-").filter(|name| is_openid(name));
    serve(&simulator, Endpoint::Login, &[], || {
        check_app(&simulator, &query.appid, &query.secret)?;
        if query.grant_type != "authorization_code" {
            return Err((40002, "invalid grant_type"));
        }
        let name = name.ok_or((40029, "invalid code"))?;
        Ok(json!({ "openid": name, "session_key": random_nonce() }))
    })
    .await
}

fn is_openid(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenBody {
    grant_type: String,
    appid: String,
    secret: String,
    force_refresh: bool,
}

async fn stable_token(simulator: Data<Simulator>, body: Bytes) -> HttpResponse {
    serve(&simulator, Endpoint::Token, &[], || {
        let body: TokenBody = serde_json::from_slice(&body).map_err(|_| (47001, "data format error"))?;
        check_grant(&simulator, &body)?;
        simulator.mini().stable_token(body.force_refresh, simulator.now())
    })
    .await
}

async fn token(simulator: Data<Simulator>, query: Query<TokenBody>) -> HttpResponse {
    serve(&simulator, Endpoint::Token, &[], || {
        check_grant(&simulator, &query)?;
        Ok(simulator.mini().plain_token(simulator.now()))
    })
    .await
}

fn check_grant(simulator: &Simulator, body: &TokenBody) -> Result<(), (i64, &'static str)> {
    if body.grant_type != "client_credential" {
        return Err((40002, "invalid grant_type"));
    }
    check_app(simulator, &body.appid, &body.secret)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SendQuery {
    access_token: String,
}

async fn send_message(simulator: Data<Simulator>, query: Query<SendQuery>, body: Bytes) -> HttpResponse {
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let to = message["touser"].as_str().unwrap_or_default().to_owned();
    serve(&simulator, Endpoint::Message, &[&to], || {
        let now = simulator.now();
        let mut mini = simulator.mini();
        if !mini.accepts(&query.access_token, now) {
            return Err((40001, "invalid credential, access_token is invalid or not latest"));
        }
        if !is_openid(&to) {
            return Err((40003, "invalid openid"));
        }
        if message["template_id"].as_str().is_none_or(str::is_empty) {
            return Err((40037, "invalid template_id"));
        }
        let sound = |value: &Value| value["value"].as_str().is_some_and(|text| !text.is_empty());
        if !message["data"].as_object().is_some_and(|data| !data.is_empty() && data.values().all(sound)) {
            return Err((47003, "argument invalid! data.value is empty"));
        }
        mini.keep(message);
        Ok(json!({ "errcode": 0, "errmsg": "ok" }))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn stable(mini: &mut Mini, force: bool, second: i64) -> String {
        mini.stable_token(force, at(second)).unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_stable_token_stays_until_it_is_about_to_end_and_then_overlaps() {
        let mut mini = Mini::default();
        let first = stable(&mut mini, false, 0);
        assert_eq!(stable(&mut mini, false, 6_899), first);

        let second = stable(&mut mini, false, 6_900);
        assert_ne!(second, first);
        assert!(mini.accepts(&first, at(7_199)) && mini.accepts(&second, at(7_199)));
        assert!(!mini.accepts(&first, at(7_200)));
    }

    #[test]
    fn a_forced_refresh_ends_the_old_token_and_cannot_be_repeated_at_once() {
        let mut mini = Mini::default();
        let first = stable(&mut mini, false, 0);
        let second = stable(&mut mini, true, 1);
        assert!(!mini.accepts(&first, at(1)) && mini.accepts(&second, at(1)));
        assert_eq!(mini.stable_token(true, at(30)).unwrap_err().0, 45011);
        assert!(mini.stable_token(true, at(31)).is_ok());
    }

    #[test]
    fn plain_tokens_overlap_and_all_tokens_can_be_taken_back() {
        let mut mini = Mini::default();
        let first = mini.plain_token(at(0))["access_token"].as_str().unwrap().to_owned();
        mini.plain_token(at(10));
        assert!(mini.accepts(&first, at(309)) && !mini.accepts(&first, at(310)));
        mini.invalidate();
        assert!(!mini.accepts(&first, at(11)));
    }
}
