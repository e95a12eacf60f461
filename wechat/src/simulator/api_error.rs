//! WeChat's error bodies.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::wire::JSON;

/// WeChat's error body with its status. Errors are never signed.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    detail: Option<Value>,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), detail: None }
    }

    pub(super) fn with_detail(self, detail: Value) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// An error of the gateway rather than of the operation.
    pub(super) fn of_status(status: u16) -> Self {
        let code = match status {
            404 => "RESOURCE_NOT_EXISTS",
            429 => "FREQUENCY_LIMITED",
            502 | 503 => "SERVICE_UNAVAILABLE",
            500..=599 => "SYSTEM_ERROR",
            _ => "INVALID_REQUEST",
        };
        Self::new(status, code, "系统异常，请稍后重试")
    }

    pub(super) fn response(self) -> HttpResponse {
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(detail) = self.detail {
            body["detail"] = detail;
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        HttpResponse::build(status).content_type(JSON).body(body.to_string())
    }
}
