//! The providers as a whole: up while one of them takes calls. Their breakers are the fleet's, in BREAKERS.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use runtime::health::Finding;
use schemas::breaker::BreakerRecord;
use schemas::catalog::Catalog;

use crate::app::App;

/// The check.
pub(super) fn check(app: Arc<App>) -> impl Fn() -> BoxFuture<'static, Finding> + Send + Sync {
    move || {
        let app = Arc::clone(&app);
        async move {
            // While the broker is away nothing is known of breakers, and the broker itself is reported down.
            let open = app.broker.open_breakers().await.unwrap_or_default();
            finding(&app.catalog, &open)
        }
        .boxed()
    }
}

/// Down when every provider has an open breaker: with one that has none, some model is served.
fn finding(catalog: &Catalog, open: &[BreakerRecord]) -> Finding {
    let broken: BTreeSet<&str> = open.iter().map(|record| record.provider.as_str()).collect();
    let providers = catalog.providers.len();
    let models = catalog.providers.iter().map(|provider| provider.models.len()).sum::<usize>();
    if providers == 0 {
        return Err("no provider is configured".to_owned());
    }
    if catalog.providers.iter().all(|provider| broken.contains(provider.name.as_str())) {
        return Err(format!("the circuit breakers of all {providers} providers are open; jobs wait"));
    }
    let names: Vec<String> = open.iter().map(|record| format!("{}/{}", record.provider, record.model)).collect();
    match names.as_slice() {
        [] => Ok(format!("{providers} providers, {models} models")),
        open => Ok(format!("{providers} providers, {models} models; breakers not closed: {}", open.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::breaker::BreakerPhase;
    use schemas::timestamp::Timestamp;

    fn open(provider: &str) -> BreakerRecord {
        let until = Timestamp::from_millis(1);
        BreakerRecord { provider: provider.to_owned(), model: "m".to_owned(), state: BreakerPhase::Open { until } }
    }

    #[test]
    fn one_provider_without_an_open_breaker_is_enough() {
        let text = r#"
            provider = [
                { name = "a", dialect = "echo", model = [{ name = "m" }] },
                { name = "b", dialect = "echo", model = [{ name = "m" }] },
            ]
        "#;
        let catalog: Catalog = toml::from_str(text).unwrap();
        assert_eq!(finding(&catalog, &[]), Ok("2 providers, 2 models".to_owned()));
        assert!(finding(&catalog, &[open("a")]).unwrap().ends_with("not closed: a/m"));
        assert!(finding(&catalog, &[open("a"), open("b")]).is_err());
        assert!(finding(&Catalog::default(), &[]).is_err());
    }
}
