//! Official SDKs, unmodified, against our address.

use std::time::Duration;

use harness::cluster::{Cluster, KEY_ONE};
use harness::paths;
use harness::provider::{Act, Provider};
use harness::wait::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_openai_package_works() {
    let provider = Provider::start("fake").await;
    provider.script("fake-limited", [Act::Refuse(429, Some(1)), Act::Answer]);
    let keys = format!(
        r#"[{{key="{KEY_ONE}",tenant="one"}},{{key="a-key-with-a-small-limit",tenant="two",requests_per_minute=1}}]"#
    );
    let cluster = Cluster::plan().provider(&provider).set("INGRESS__KEYS", &keys).start().await;
    let mut command = std::process::Command::new(paths::python());
    command.arg(paths::repository().join("tests/clients/openai_sdk.py"));
    command.env("PORTBROKER_BASE_URL", format!("{}/v1", cluster.ingress.base()));
    command.env("PORTBROKER_KEY", KEY_ONE).env("PORTBROKER_LIMITED_KEY", "a-key-with-a-small-limit");
    let script = harness::child::Child::start("openai_sdk.py", &mut command);
    let status =
        until("end of the script", Duration::from_secs(180), async || script.ended().ok_or("it still runs")).await;
    let lines = script.lines();
    assert!(status.success(), "{status}:\n{}", lines.join("\n"));
    assert!(lines.iter().filter(|line| line.starts_with("ok ")).count() >= 10, "{lines:#?}");
}
