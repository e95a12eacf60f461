//! Calls outside the measured part: set-up and audit. One at a time per connection, answers as JSON values.

use std::cell::{Cell, RefCell};

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::http::{Connection, Head, RequestBuffer, Target};

/// A client for set-up and audit.
#[derive(Debug)]
pub struct Api {
    connection: Connection,
    request: RequestBuffer,
}

/// A call, with its credentials.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub token: Option<&'a str>,
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> Call<'a> {
    pub fn get(path: &'a str) -> Call<'a> {
        Call { method: "GET", path, token: None, headers: &[] }
    }

    pub fn post(path: &'a str) -> Call<'a> {
        Call { method: "POST", path, token: None, headers: &[] }
    }

    pub fn token(self, token: &'a str) -> Call<'a> {
        Call { token: Some(token), ..self }
    }

    pub fn headers(self, headers: &'a [(&'a str, &'a str)]) -> Call<'a> {
        Call { headers, ..self }
    }
}

impl Api {
    pub fn new(target: Target) -> Api {
        Api { connection: Connection::new(target), request: RequestBuffer::default() }
    }

    /// Status and body; `null` for an empty body. An error is a failed connection or a body that is not JSON.
    pub async fn call(&mut self, call: Call<'_>, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        self.request.body.clear();
        if let Some(body) = body {
            serde_json::to_writer(&mut self.request.body, body)?;
        }
        let head = Head { method: call.method, path: call.path, token: call.token, headers: call.headers };
        self.request.finish(self.connection.target(), &head);
        let name = || format!("{} {}", call.method, call.path);
        let answer = self.connection.exchange(self.request.bytes()).await.with_context(name)?;
        let body = if answer.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(answer.body).with_context(|| format!("{}: the answer is not JSON", name()))?
        };
        Ok((answer.status, body))
    }

    /// As [`Api::call`]; every status but 2xx is an error that shows the answer.
    pub async fn expect(&mut self, call: Call<'_>, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, answer) = self.call(call, body).await?;
        if !(200..300).contains(&status) {
            bail!("{} {} was answered {status}: {answer}", call.method, call.path);
        }
        Ok(answer)
    }
}

/// A figure of `/metrics`; `None` when the server does not show it.
pub async fn metric(api: &mut Api, name: &str) -> anyhow::Result<Option<f64>> {
    api.request.body.clear();
    let head = Head { method: "GET", path: "/metrics", token: None, headers: &[] };
    api.request.finish(api.connection.target(), &head);
    let answer = api.connection.exchange(api.request.bytes()).await.context("GET /metrics")?;
    if answer.status != 200 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(answer.body);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    Ok(value)
}

/// A text field of an answer.
pub fn text<'v>(value: &'v Value, field: &str) -> anyhow::Result<&'v str> {
    value.get(field).and_then(Value::as_str).with_context(|| format!("no text {field:?} in {value}"))
}

/// A list of an answer.
pub fn list<'v>(value: &'v Value, field: &str) -> anyhow::Result<&'v [Value]> {
    let list = value.get(field).and_then(Value::as_array);
    list.map(Vec::as_slice).with_context(|| format!("no list {field:?} in {value}"))
}

/// Works on all items, `width` at a time, each over its own connection; results in the order of the items.
pub async fn spread<T, R>(
    target: &Target,
    items: impl IntoIterator<Item = T>,
    width: usize,
    work: impl AsyncFn(&mut Api, T) -> anyhow::Result<R>,
) -> anyhow::Result<Vec<R>> {
    let queue = RefCell::new(items.into_iter().enumerate());
    let results = RefCell::new(Vec::new());
    let is_over = Cell::new(false);
    let worker = async || -> anyhow::Result<()> {
        let mut api = Api::new(target.clone());
        while !is_over.get() {
            let Some((index, item)) = queue.borrow_mut().next() else { break };
            let result = work(&mut api, item).await.inspect_err(|_| is_over.set(true))?;
            results.borrow_mut().push((index, result));
        }
        Ok(())
    };
    try_join_all((0..width.max(1)).map(|_| worker())).await?;
    let mut results = results.into_inner();
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
