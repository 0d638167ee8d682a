//! The shape of the code base: who may depend on whom, and what lies at the top of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use harness::paths;
use serde_json::Value;

const ROLES: [&str; 3] = ["ingress", "workers", "alerting"];
/// Crates that do I/O, or let others do it.
const IMPURE: [&str; 9] = ["tokio", "async-nats", "reqwest", "hyper", "sqlx", "redis", "axum", "teloxide", "mio"];
const TOP: [&str; 9] =
    ["Cargo.toml", "README.md", "alerting", "deploy", "ingress", "nats.conf", "schemas", "tests", "workers"];

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(paths::repository()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// For each package's name, the names of what it depends on outside its tests. Names are enough: ours are unique.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata: Value =
        serde_json::from_str(&output(&cargo, &["metadata", "--format-version=1", "--locked"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<_, _> =
        packages.iter().map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap())).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let normal =
            node["deps"].as_array().unwrap().iter().filter(|dependency| {
                dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
            });
        let found = normal.map(|dependency| names[dependency["pkg"].as_str().unwrap()].to_owned());
        graph.entry(names[node["id"].as_str().unwrap()].to_owned()).or_default().extend(found);
    }
    graph
}

fn reachable(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(name) = next.pop() {
        next.extend(graph.get(&name).into_iter().flatten().filter(|name| seen.insert((*name).clone())).cloned());
    }
    seen
}

#[test]
fn roles_never_depend_on_each_other() {
    let graph = dependencies();
    for role in ROLES {
        let reached = reachable(&graph, role);
        assert!(reached.contains("schemas"), "{role} speaks the common language");
        let others: Vec<_> = ROLES.iter().filter(|other| **other != role && reached.contains(**other)).collect();
        assert!(others.is_empty(), "{role} depends on {others:?}");
    }
}

#[test]
fn the_pure_crates_do_no_io() {
    let graph = dependencies();
    for pure in ["schemas", "context"] {
        let reached = reachable(&graph, pure);
        let impure: Vec<_> = IMPURE.iter().filter(|name| reached.contains(**name)).collect();
        assert!(impure.is_empty(), "{pure} depends on {impure:?}");
    }
}

#[test]
fn the_top_of_the_repository_is_fixed() {
    let files = output("git", &["ls-files"]);
    let top: BTreeSet<_> = files.lines().filter_map(|path| path.split('/').next()).collect();
    let visible = top.into_iter().filter(|name| !name.starts_with('.') && *name != "Cargo.lock");
    assert_eq!(visible.collect::<Vec<_>>(), TOP);
}
