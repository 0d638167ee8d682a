//! A small client of the native API.

pub(crate) mod dead;
pub(crate) mod get;
pub(crate) mod submit;
pub(crate) mod tail;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::cli::Target;

/// How long one request may wait at the server for a job's end.
const WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    http: reqwest::Client,
    target: Target,
}

impl Client {
    pub(crate) fn new(target: Target) -> Result<Self> {
        let http = reqwest::Client::builder().tcp_nodelay(true).connect_timeout(Duration::from_secs(5)).build()?;
        Ok(Self { http, target })
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.keyed(self.http.get(self.url(path)))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.keyed(self.http.post(self.url(path)))
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.keyed(self.http.delete(self.url(path)))
    }

    /// Sends, and turns an error answer into an error with the server's own words.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request.send().await.with_context(|| format!("no answer from {}", self.target.url))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        match body["message"].as_str() {
            Some(message) => bail!("{message} ({status}, {})", body["code"].as_str().unwrap_or("no code")),
            None => bail!("the server answered {status}"),
        }
    }

    /// Reads a job, waiting at the server for its end.
    pub(crate) async fn job(&self, id: &str, wait: Option<Duration>) -> Result<Value> {
        let mut request = self.get(&format!("/v1/jobs/{id}")).timeout(WAIT * 2);
        if let Some(wait) = wait {
            request = request.header("prefer", format!("wait={}", wait.min(WAIT).as_secs().max(1)));
        }
        Ok(self.send(request).await?.json().await?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.target.url.trim_end_matches('/'))
    }

    fn keyed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.target.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }
}

/// Whether the job has ended.
pub(crate) fn ended(job: &Value) -> bool {
    !matches!(job["status"].as_str(), Some("queued" | "running"))
}

/// The text of a job's output.
pub(crate) fn output_text(job: &Value) -> String {
    let blocks = job["output"]["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter_map(|block| block["text"].as_str()).collect()
}
