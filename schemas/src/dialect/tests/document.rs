//! `schemas/dialects.md`, made from the tables of fields.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::dialect::fields::{Field, TABLES, Table, Treatment};

const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dialects.md");

/// The parts of a table: what their paths begin with, and what they are.
const PARTS: [(&str, &str); 3] = [
    ("response.", "Of a whole answer"),
    ("stream.", "Of an event of a stream"),
    ("neutral.", "Of a request in neutral form, to a provider that cannot be told it as it is"),
];

const INTRODUCTION: &str = "\
# What becomes of every field

Made from the tables in `src/dialect/*/fields.rs`, which tests hold against the code; change those, then run
`PORTBROKER_UPDATE_DOCS=1 cargo test -p schemas --lib document`.

- **mapped**: the neutral form has it, and any dialect that can say it is told. A provider that cannot be told is named
  in a warning of the result.
- **carried**: kept as it came, for whoever speaks the same dialect. Another provider is not told, and a warning says so;
  a client of another dialect does not read it.
- **warned**: not taken over, or not as it is; a warning says so.
- **refused**: the request is answered with 400, naming the field.

Fields that no table lists are carried; routes that are strict refuse them.
";

fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for table in TABLES {
        writeln!(text, "\n## `{}`, `POST {{base}}{}`", table.dialect, table.path).unwrap();
        let of_request = |field: &&Field| PARTS.iter().all(|(prefix, _)| !field.path.starts_with(prefix));
        part(&mut text, "Of a request", "", table.fields.iter().filter(of_request));
        for (prefix, title) in PARTS {
            part(&mut text, title, prefix, table.fields.iter().filter(|field| field.path.starts_with(prefix)));
        }
    }
    text
}

fn part<'a>(text: &mut String, title: &str, prefix: &str, fields: impl Iterator<Item = &'a Field>) {
    let mut fields = fields.peekable();
    if fields.peek().is_none() {
        return;
    }
    write!(text, "\n### {title}\n\n| field | treatment | |\n| --- | --- | --- |\n").unwrap();
    for Field { path, treatment, note } in fields {
        let path = path.strip_prefix(prefix).unwrap_or(path);
        writeln!(text, "| `{path}` | {treatment} | {} |", note.replace('|', "\\|")).unwrap();
    }
}

#[test]
fn the_document_is_made_from_the_tables() {
    let text = markdown();
    if std::env::var_os("PORTBROKER_UPDATE_DOCS").is_some() {
        std::fs::write(PLACE, &text).unwrap();
    }
    let written = std::fs::read_to_string(PLACE).unwrap();
    let news: Vec<_> = text.lines().filter(|line| !written.contains(line)).collect();
    assert!(text == written, "dialects.md is out of date, run with PORTBROKER_UPDATE_DOCS=1; new: {news:#?}");
}

#[test]
fn every_table_is_whole_and_without_repetition() {
    for Table { dialect, fields, .. } in TABLES {
        let paths: BTreeSet<_> = fields.iter().map(|field| field.path).collect();
        assert_eq!(paths.len(), fields.len(), "{dialect} lists a field twice");
        for treatment in [Treatment::Mapped, Treatment::Carried, Treatment::Warned, Treatment::Refused] {
            assert!(fields.iter().any(|field| field.treatment == treatment), "{dialect} has nothing {treatment}");
        }
    }
}
