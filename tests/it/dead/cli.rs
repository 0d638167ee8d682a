//! `portbroker dead`: the same from a shell.

use std::process::{Command, Output};

use harness::api::prompt;
use harness::cluster::{Cluster, KEY_ONE};
use harness::paths;
use harness::provider::{Act, Provider};
use serde_json::{Value, json};

use super::{dies, impatient};

struct Shell<'a>(&'a Cluster);

impl Shell<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(paths::portbroker());
        command.env_clear().env("PORTBROKER_API_KEY", KEY_ONE).arg("dead").args(arguments);
        command.args(["--url", self.0.ingress.base()]).output().unwrap()
    }

    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn complains(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_jobs_are_looked_after_from_a_shell() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Refuse(500, None), Act::Refuse(500, None), Act::Answer]);
    let cluster = impatient().provider(&provider).start().await;
    let (api, shell) = (cluster.api(), Shell(&cluster));
    assert_eq!(shell.prints(&["list"]), "");
    let ids = [dies(&api, &prompt("fake", "first")).await, dies(&api, &prompt("fake", "second")).await];

    let list = shell.prints(&["list"]);
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    for (line, id) in lines.iter().zip(&ids) {
        assert!(line.starts_with(id.as_str()) && line.contains("  fake  1 attempts  provider_overloaded"), "{line}");
    }
    assert_eq!(shell.prints(&["list", "--model", "other"]), "");
    let page: Value = serde_json::from_str(&shell.prints(&["list", "--limit", "1", "--json"])).unwrap();
    let after = page["next_cursor"].as_str().unwrap();
    assert!(shell.prints(&["list", "--after", after]).starts_with(ids[1].as_str()));

    let shown: Value = serde_json::from_str(&shell.prints(&["show", &ids[0]])).unwrap();
    assert_eq!(shown["id"], json!(ids[0]));
    let child = shell.prints(&["replay", &ids[0], "--provider", "fake", "--lane", "high"]);
    let job = api.ended(child.trim()).await;
    assert_eq!((&job["status"], &job["lane"], &job["parent"]), (&json!("completed"), &json!("high"), &json!(ids[0])));
    assert_eq!(shell.prints(&["delete", &ids[0]]), "");
    assert!(shell.prints(&["list"]).starts_with(ids[1].as_str()));

    assert!(shell.complains(&["show", &ids[0]]).contains("no such dead job (404 Not Found, not_found)"));
    let refused = shell.complains(&["replay", &ids[1], "--provider", "nobody"]);
    assert!(refused.contains("this provider does not serve the model; there are: fake"), "{refused}");
}
