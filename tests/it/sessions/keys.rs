//! Histories at rest: unreadable without their key, readable with an earlier one, never overwritten by who cannot read.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use futures::StreamExt;
use harness::cluster::Cluster;
use harness::paths;
use harness::process::{Process, Role};
use harness::provider::Provider;
use serde_json::json;

use super::{said, session, talk, turn};

const ENCRYPTION_KEY: &str = "PORTBROKER_SESSIONS__ENCRYPTION_KEY";
const PREVIOUS_KEYS: &str = "PORTBROKER_SESSIONS__PREVIOUS_KEYS";
const WORD: &str = "zebra-crossing-4711";

/// What `portbroker keygen` prints, given this on standard input.
fn keygen(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(paths::portbroker());
    command.arg("keygen").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Everything that the bucket holds.
pub(crate) async fn stored(cluster: &Cluster) -> Vec<Vec<u8>> {
    let context = async_nats::jetstream::new(cluster.nats.client().await);
    let bucket = context.get_key_value("SESSIONS").await.unwrap();
    let keys: Vec<_> = bucket.keys().await.unwrap().collect().await;
    let mut values = Vec::new();
    for key in keys {
        values.push(bucket.get(key.unwrap()).await.unwrap().unwrap().to_vec());
    }
    values
}

pub(crate) fn holds(values: &[Vec<u8>], word: &str) -> bool {
    values.iter().any(|value| value.windows(word.len()).any(|part| part == word.as_bytes()))
}

/// Both roles anew, with these settings beside the cluster's.
async fn restarted(cluster: &mut Cluster, settings: &[(&str, &str)]) {
    let mut environment: BTreeMap<_, _> = cluster.environment().clone();
    environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    cluster.stop().await;
    cluster.ingress = Process::start(Role::Ingress, &environment).await;
    cluster.workers = vec![Process::start(Role::Worker, &environment).await];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_are_read_with_their_keys_alone() {
    let provider = Provider::start("fake").await;
    let (old, new) = (keygen(&[], ""), keygen(&[], ""));
    let mut cluster = Cluster::plan().provider(&provider).start().await;
    cluster.api().run(&turn("fake", "s", WORD)).await;
    assert_eq!(said(&session(&cluster.api(), "s").await), talk(&[WORD]));
    assert!(holds(&stored(&cluster).await, WORD), "without a key it is plain");

    restarted(&mut cluster, &[(ENCRYPTION_KEY, &old)]).await;
    cluster.api().run(&turn("fake", "s", "two")).await;
    assert_eq!(said(&session(&cluster.api(), "s").await), talk(&[WORD, "two"]), "what was plain is still read");
    let values = stored(&cluster).await;
    assert!(!values.is_empty() && !holds(&values, WORD) && !holds(&values, "two") && !holds(&values, "fake"));

    restarted(&mut cluster, &[(ENCRYPTION_KEY, &new)]).await;
    let refused = cluster.api().get("/v1/sessions/s").await.expect(503);
    assert!(refused.body["message"].as_str().unwrap().contains("sessions.previous_keys"), "{}", refused.text);
    let failed = cluster.api().run(&turn("fake", "s", "lost?")).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("unavailable")), "{failed}");
    let delete = cluster.api().request(reqwest::Method::DELETE, "/v1/sessions/s");
    cluster.api().send(delete).await.expect(503);
    assert_eq!(stored(&cluster).await, values, "what cannot be read is left as it is");

    restarted(&mut cluster, &[(ENCRYPTION_KEY, &new), (PREVIOUS_KEYS, &old)]).await;
    assert_eq!(said(&session(&cluster.api(), "s").await), talk(&[WORD, "two"]));
    cluster.api().run(&turn("fake", "s", "three")).await;
    restarted(&mut cluster, &[(ENCRYPTION_KEY, &new)]).await;
    assert_eq!(said(&session(&cluster.api(), "s").await), talk(&[WORD, "two", "three"]), "sealed anew");
    let failed = failed["id"].as_str().unwrap();
    let replayed = cluster.api().post(&format!("/v1/dead/{failed}/replay"), &json!({})).await.expect(202);
    let replayed = cluster.api().ended(replayed.body["id"].as_str().unwrap()).await;
    assert_eq!(
        (&replayed["status"], &replayed["turn"]),
        (&json!("completed"), &json!(4)),
        "nothing is lost: {replayed}"
    );
    let lines = cluster.roles().flat_map(|role| role.child().lines()).collect::<Vec<_>>();
    assert!(!lines.iter().any(|line| line.contains(WORD) || line.contains(&new)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_makes_the_key_that_keygen_prints() {
    let (password, salt) = ("correct horse battery", "0123456789abcdef");
    let key = keygen(&["--password", "--salt", salt], &format!("{password}\n"));
    let provider = Provider::start("fake").await;
    let plan = Cluster::plan().provider(&provider);
    let mut cluster = plan.set("SESSIONS__PASSWORD", password).set("SESSIONS__PASSWORD_SALT", salt).start().await;
    cluster.api().run(&turn("fake", "s", WORD)).await;
    let read = session(&cluster.api(), "s").await;
    assert!(!holds(&stored(&cluster).await, WORD));
    let plain = [("PORTBROKER_SESSIONS__PASSWORD", ""), ("PORTBROKER_SESSIONS__PASSWORD_SALT", "")];
    restarted(&mut cluster, &[plain.as_slice(), &[(ENCRYPTION_KEY, &key)]].concat()).await;
    assert_eq!(session(&cluster.api(), "s").await["messages"], read["messages"]);
    cluster.stop().await;
}
