//! The health of one role: its components, checked in parallel, each within a timeout, the answer kept for a while.

mod check;
mod report;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use check::{disk, memory};
pub use report::{Component, HealthReport, Status, Transition};

use crate::clock;

/// Transitions kept for a listener that is slow to read them.
const TRANSITIONS: usize = 256;

/// What a check found: a detail when the component is up, else a reason. Both are shown to everyone: no secret, no
/// address with a password.
pub type Finding = Result<String, String>;

/// Looks at one component. Called again and again, never twice at once.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Finding> + Send + Sync>;

/// The health of one role. Clones share it.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    role: &'static str,
    ttl: Duration,
    timeout: Duration,
    started: Instant,
    leaving: AtomicBool,
    checks: StdMutex<Vec<Registered>>,
    last: Mutex<Option<(Instant, HealthReport)>>,
    transitions: broadcast::Sender<Transition>,
    up: Option<IntGaugeVec>,
}

#[derive(Clone)]
struct Registered {
    name: &'static str,
    required: bool,
    check: Check,
}

impl Health {
    /// No component yet. Answers are kept for `ttl`; a component that takes longer than `timeout` counts as down.
    #[must_use]
    pub fn new(ttl: Duration, timeout: Duration) -> Self {
        Self::build("portbroker", ttl, timeout, None)
    }

    /// The same for a named role, with `portbroker_component_up{role,component}` on `registry`.
    ///
    /// # Errors
    /// When that role is on the registry already.
    pub fn of_role(
        role: &'static str,
        ttl: Duration,
        timeout: Duration,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let up = Opts::new("portbroker_component_up", "1 while the component answers, 0 while it does not")
            .const_label("role", role);
        let up = crate::metrics::registered(registry, IntGaugeVec::new(up, &["component"])?)?;
        Ok(Self::build(role, ttl, timeout, Some(up)))
    }

    fn build(role: &'static str, ttl: Duration, timeout: Duration, up: Option<IntGaugeVec>) -> Self {
        Self(Arc::new(Inner {
            role,
            ttl,
            timeout,
            started: Instant::now(),
            leaving: AtomicBool::new(false),
            checks: StdMutex::default(),
            last: Mutex::default(),
            transitions: broadcast::Sender::new(TRANSITIONS),
            up,
        }))
    }

    /// Adds a component. Without a `required` one the role is not ready and unhealthy; without another it is degraded.
    pub fn register<F>(&self, name: &'static str, required: bool, check: F)
    where
        F: Fn() -> BoxFuture<'static, Finding> + Send + Sync + 'static,
    {
        let registered = Registered { name, required, check: Arc::new(check) };
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).push(registered);
    }

    /// Every component, at most `ttl` old. Callers at one time share one round of checks.
    pub async fn report(&self) -> HealthReport {
        let mut last = self.0.last.lock().await;
        if let Some((at, report)) = last.as_ref()
            && at.elapsed() < self.0.ttl
        {
            return report.clone();
        }
        let report = self.look(last.as_ref().map(|(_, report)| report)).await;
        *last = Some((Instant::now(), report.clone()));
        report
    }

    /// Hears every component that goes down or comes back. One that is down at first sight went down.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Transition> {
        self.0.transitions.subscribe()
    }

    /// Checks every `ttl`, so that transitions are seen when nobody asks. Ends at `shutdown`, as [`Self::leave`].
    pub async fn run(&self, shutdown: CancellationToken) {
        let rounds = async {
            loop {
                self.report().await;
                tokio::time::sleep(self.0.ttl).await;
            }
        };
        shutdown.run_until_cancelled(rounds).await;
        self.leave();
    }

    /// From now on the role is not ready: it is shutting down.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::leave`] was called.
    #[must_use]
    pub fn leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed)
    }

    /// Whose health this is.
    #[must_use]
    pub fn role(&self) -> &'static str {
        self.0.role
    }

    /// How long the role has been up.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    async fn look(&self, last: Option<&HealthReport>) -> HealthReport {
        let checks = self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let looks = checks.iter().map(|registered| async {
            let before = last.and_then(|report| report.components.get(registered.name));
            (registered.name, registered.look(self.0.timeout, before).await)
        });
        let components: BTreeMap<_, _> = join_all(looks).await.into_iter().collect();
        for (name, component) in &components {
            let before = last.and_then(|report| report.components.get(name));
            self.tell(name, before.is_none_or(|before| before.up), component);
        }
        HealthReport::new(components)
    }

    fn tell(&self, name: &'static str, was_up: bool, component: &Component) {
        if let Some(up) = &self.0.up {
            up.with_label_values(&[name]).set(i64::from(component.up));
        }
        if was_up == component.up {
            return;
        }
        if component.up {
            tracing::info!(component = name, detail = component.detail, "component recovered");
        } else {
            tracing::warn!(component = name, reason = component.detail, "component down");
        }
        // No listener is no error: some roles only report.
        let _ = self.0.transitions.send(Transition {
            component: name,
            required: component.required,
            up: component.up,
            detail: component.detail.clone(),
            at: component.checked_at,
        });
    }
}

impl Registered {
    async fn look(&self, timeout: Duration, before: Option<&Component>) -> Component {
        let started = Instant::now();
        let finding = tokio::time::timeout(timeout, (self.check)())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} ms", timeout.as_millis())));
        let checked_at = clock::now();
        let up = finding.is_ok();
        Component {
            up,
            required: self.required,
            detail: finding.unwrap_or_else(|reason| reason),
            latency: started.elapsed(),
            since: before.filter(|before| before.up == up).map_or(checked_at, |before| before.since),
            checked_at,
        }
    }
}

#[cfg(test)]
mod tests;
