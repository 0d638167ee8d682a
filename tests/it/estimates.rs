//! Token counts of models whose tokenizer is not known: their providers' reports make them better.

use harness::api::prompt;
use harness::cluster::Cluster;
use harness::provider::Provider;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimates_follow_what_the_provider_reports() {
    let provider = Provider::start("guessed").await.serving("name = \"somebody-7b\"");
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    // The provider counts words. Each is one token of the nearest encoding, and a guess is above that.
    let text = "every queue and every wait must have a bound ".repeat(40);
    let mut ratios = Vec::new();
    for _ in 0..10 {
        let job = api.run(&prompt("somebody-7b", &text)).await;
        assert_eq!(job["status"], "completed", "{job}");
        let [estimated, reported] = [&job["context"]["tokens_after"], &job["usage"]["input_tokens"]];
        ratios.push(estimated.as_f64().unwrap() / reported.as_f64().unwrap());
    }
    assert!(ratios[..8].iter().all(|ratio| (1.2..1.4).contains(ratio)), "{ratios:?}");
    assert!(ratios[8..].iter().all(|ratio| (0.98..1.02).contains(ratio)), "{ratios:?}");
    cluster.stop().await;
}
