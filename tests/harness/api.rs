//! A client of PortBroker's HTTP API, as a program of a user would be.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::wait;

/// How long an idle connection is kept: less than the server keeps it, as the official SDKs do.
const IDLE: Duration = Duration::from_secs(5);
/// How long a job of a test may take, outages included.
pub const JOB_LIMIT: Duration = Duration::from_secs(120);

/// One API key's view of a server.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    key: String,
    http: Client,
}

/// A whole HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// A header as text; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The answer itself, when it has this status.
    ///
    /// # Panics
    /// When it has another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Api {
    /// Talks to `base` (`http://127.0.0.1:18080`) with `key`.
    ///
    /// # Panics
    /// When the machine's HTTP client cannot be made.
    #[must_use]
    pub fn new(base: &str, key: &str) -> Self {
        let http = Client::builder()
            .no_proxy()
            .timeout(JOB_LIMIT)
            .pool_idle_timeout(IDLE)
            .build()
            .expect("a client without TLS settings");
        Self { base: base.to_owned(), key: key.to_owned(), http }
    }

    /// A request with the key set, for what the other functions do not offer.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// # Panics
    /// When the server does not answer at all.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the server answers")
    }

    /// Sends `request` and reads the whole answer, if there is one.
    ///
    /// # Errors
    /// When the connection fails before the answer is whole.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Submits a job and answers its id.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn submit(&self, body: &Value) -> String {
        job_id(&self.post("/v1/jobs", body).await.expect(202).body)
    }

    /// Submits a job under an idempotency key.
    pub async fn submit_keyed(&self, body: &Value, key: &str) -> Answer {
        self.send(self.request(Method::POST, "/v1/jobs").header("idempotency-key", key).json(body)).await
    }

    /// The job as it stands.
    ///
    /// # Panics
    /// When it is not found.
    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}")).await.expect(200).body
    }

    /// Waits until the job has ended and answers it. Answers other than 200 on the way are tolerated: a server may be down.
    ///
    /// # Panics
    /// When it has not ended within [`JOB_LIMIT`].
    pub async fn ended(&self, id: &str) -> Value {
        let path = format!("/v1/jobs/{id}");
        wait::until(&format!("end of {id}"), JOB_LIMIT, async || {
            let request = self.request(Method::GET, &path).header("prefer", "wait=5");
            let answer = self.try_send(request).await.map_err(|error| error.to_string())?;
            let ended = answer.status == 200 && is_terminal(&answer.body);
            wait::check(ended, &answer.text).map(|()| answer.body)
        })
        .await
    }

    /// Submits a job, waits for its end and answers it.
    pub async fn run(&self, body: &Value) -> Value {
        let id = self.submit(body).await;
        self.ended(&id).await
    }

    /// Waits until the job has this status and answers it.
    ///
    /// # Panics
    /// When it has not within [`JOB_LIMIT`].
    pub async fn becomes(&self, id: &str, status: &str) -> Value {
        wait::until(&format!("{status} {id}"), JOB_LIMIT, async || {
            let job = self.job(id).await;
            wait::check(job["status"] == status, &job).map(|()| job)
        })
        .await
    }
}

/// A submit of one user message.
#[must_use]
pub fn prompt(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// The text of a job's output; empty when there is none.
#[must_use]
pub fn output_text(job: &Value) -> String {
    let blocks = job["output"]["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter_map(|block| block["text"].as_str()).collect()
}

/// The id in a job's body.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn job_id(job: &Value) -> String {
    job["id"].as_str().unwrap_or_else(|| panic!("no id in {job}")).to_owned()
}

/// Whether a job has ended.
#[must_use]
pub fn is_terminal(job: &Value) -> bool {
    matches!(job["status"].as_str(), Some("completed" | "failed" | "cancelled" | "expired" | "incomplete"))
}

/// The outcomes of a job's attempts, oldest first.
#[must_use]
pub fn outcomes(job: &Value) -> Vec<&str> {
    let attempts = job["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    attempts.iter().map(|attempt| attempt["outcome"].as_str().unwrap_or("none")).collect()
}
