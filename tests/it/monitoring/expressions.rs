//! Every expression of the rules and the dashboards, and what is wrong with one in the eyes of a Prometheus that watched
//! a run.

use std::collections::BTreeSet;
use std::fs;

use harness::paths;
use harness::prometheus::Prometheus;
use serde_json::Value;

use super::promql::{Subjects, subjects, template_labels};

/// How far back a series may have been there.
const LOOK_BACK: &str = "[10m]";

/// An expression.
#[derive(Debug)]
pub(super) struct Expression {
    /// Where it stands.
    place: String,
    text: String,
    /// Labels that its legend or its annotations show.
    shown: Vec<String>,
    /// It must answer something after a run in which everything happened: a panel, unless it compares with a day before.
    answers: bool,
}

impl Expression {
    /// What is wrong with it.
    pub(super) async fn faults(&self, prometheus: &Prometheus) -> BTreeSet<String> {
        let mut faults = BTreeSet::new();
        match prometheus.query(&self.text).await {
            Err(error) => drop(faults.insert(format!("{}: {error}", self.place))),
            Ok(series) if series.is_empty() && self.answers => {
                faults.insert(format!("{}: nothing for {}", self.place, self.text));
            }
            Ok(_) => {}
        }
        let Subjects { selectors, labels } = subjects(&self.text);
        for selector in &selectors {
            if !found(prometheus, &format!("{selector}{LOOK_BACK}")).await {
                faults.insert(format!("{}: no series for {selector}", self.place));
            }
        }
        for label in labels.iter().chain(&self.shown).filter(|label| *label != "le") {
            if !self.has_label(prometheus, &selectors, label).await {
                faults.insert(format!("{}: no series with {label} in {}", self.place, self.text));
            }
        }
        faults
    }

    /// Whether one of its series has such a label, or its alert is given one.
    async fn has_label(&self, prometheus: &Prometheus, selectors: &[String], label: &str) -> bool {
        for selector in selectors {
            let (name, matchers) = selector.split_once('{').unwrap_or((selector, "}"));
            let comma = if matchers == "}" { "" } else { "," };
            if found(prometheus, &format!(r#"{name}{{{label}!=""{comma}{matchers}{LOOK_BACK}"#)).await {
                return true;
            }
        }
        false
    }
}

async fn found(prometheus: &Prometheus, range: &str) -> bool {
    prometheus.query(&format!("count(present_over_time({range}))")).await.is_ok_and(|series| !series.is_empty())
}

/// Those of the rules that `prometheus` evaluates.
pub(super) async fn of_rules(prometheus: &Prometheus) -> Vec<Expression> {
    let rules = prometheus.rules().await.unwrap();
    let expression = |rule: &Value| {
        let texts = rule["annotations"].as_object().into_iter().flatten().filter_map(|(_, text)| text.as_str());
        Expression {
            place: format!("rule {}", rule["name"]),
            text: rule["query"].as_str().unwrap().to_owned(),
            shown: texts.flat_map(template_labels).collect(),
            answers: rule["type"] == "recording",
        }
    };
    rules.iter().map(expression).collect()
}

/// Those of every dashboard, the variables replaced.
pub(super) fn of_dashboards() -> Vec<Expression> {
    dashboards()
        .iter()
        .flat_map(|(name, board)| board["panels"].as_array().unwrap().iter().map(move |panel| (name, panel)))
        .flat_map(of_panel)
        .collect()
}

fn of_panel((board, panel): (&String, &Value)) -> Vec<Expression> {
    let targets = panel["targets"].as_array().unwrap().iter();
    let expression = |target: &Value| {
        let text = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m").replace("$provider", ".*");
        Expression {
            place: format!("{board}: {}", panel["title"]),
            shown: template_labels(target["legendFormat"].as_str().unwrap()),
            answers: !text.contains("offset"),
            text,
        }
    };
    targets.map(expression).collect()
}

/// Every dashboard by the name of its file.
pub(super) fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(paths::repository().join("deploy/grafana/dashboards")).unwrap().flatten();
    files
        .map(|file| {
            let board = serde_json::from_str(&fs::read_to_string(file.path()).unwrap());
            (file.file_name().to_string_lossy().into_owned(), board.unwrap())
        })
        .collect()
}
