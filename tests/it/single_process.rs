//! `portbroker all`: every role in one process with a nats-server of its own, and what a second start finds.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use harness::api::{Api, output_text, prompt};
use harness::paths;
use harness::process::{Process, Role};
use harness::wait::{check, until};

const LIMIT: Duration = Duration::from_secs(60);

fn settings(folder: &std::path::Path) -> BTreeMap<String, String> {
    let server = paths::nats_server();
    [
        ("PORTBROKER_DATA_DIR", folder.to_string_lossy().into_owned()),
        ("PORTBROKER_NATS__SERVER_PROGRAM", server.to_string_lossy().into_owned()),
        ("PORTBROKER_DISK__MIN_FREE_BYTES", "67108864".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Processes whose command line names `folder`: its nats-server, as nobody else does.
fn servers_of(folder: &std::path::Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    let folder = folder.to_string_lossy().into_owned();
    commands.filter(|command| command.contains("nats-server") && command.contains(&folder)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_is_everything_and_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(Role::All, &settings(folder.path())).await;
    let api = Api::new(first.base(), "none is needed on loopback");
    let job = api.run(&prompt("echo", "remember me")).await;
    let id = job["id"].as_str().unwrap().to_owned();
    assert_eq!(servers_of(folder.path()).len(), 1);
    first.stop(LIMIT).await;
    assert_eq!(servers_of(folder.path()), Vec::<String>::new(), "no process is left behind");

    let second = Process::start(Role::All, &settings(folder.path())).await;
    let api = Api::new(second.base(), "");
    assert!(output_text(&api.job(&id).await).contains("remember me"));
    let waiting = api.submit(&prompt("echo-slow-5000ms", "over the crash")).await;
    second.kill9();

    let third = Process::start(Role::All, &settings(folder.path())).await;
    let api = Api::new(third.base(), "");
    assert_eq!(api.ended(&waiting).await["status"], "completed");
    let listed = until("history", LIMIT, async || {
        let page = api.get("/v1/jobs").await.expect(200).body;
        check(page["data"].as_array().map(Vec::len) == Some(2), &page).map(|()| page)
    })
    .await;
    assert_eq!(listed["data"][1]["id"], id.as_str());
    third.stop(LIMIT).await;
    assert_eq!(servers_of(folder.path()), Vec::<String>::new(), "no process is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_told_together() {
    let mut environment = settings(tempfile::tempdir().unwrap().path());
    environment.insert("PORTBROKER_INGRESS__LISTEN".to_owned(), "0.0.0.0:8080".to_owned());
    environment.insert("PORTBROKER_WORKER__SLOTS".to_owned(), "many".to_owned());
    environment.insert("PORTBROKER_WROKER__SLOTS".to_owned(), "1".to_owned());
    let output =
        std::process::Command::new(paths::portbroker()).args(["config", "check"]).envs(&environment).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code().map(|code| code != 0), Some(true), "{text}");
    for name in ["PORTBROKER_WORKER__SLOTS", "PORTBROKER_WROKER__SLOTS"] {
        assert!(text.contains(name), "{name} is not named in: {text}");
    }
}
