//! What a PromQL expression speaks of: its selectors, and the labels that it groups and joins by. Reads tokens only;
//! whether the expression is right is Prometheus' to say.

/// Words before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are neither metrics nor functions.
const WORDS: [&str; 9] = ["and", "or", "unless", "bool", "offset", "inf", "nan", "atan2", "start"];
/// Aggregations, whose argument may come behind a list of labels.
const AGGREGATIONS: [&str; 12] =
    ["sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "quantile", "stddev", "stdvar", "count_values"];

/// What an expression speaks of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Subjects {
    /// `name` or `name{matchers}`, as written, without ranges.
    pub(super) selectors: Vec<String>,
    /// Labels of `by (…)`, `on (…)` and their like.
    pub(super) labels: Vec<String>,
}

/// Reads `expression`.
pub(super) fn subjects(expression: &str) -> Subjects {
    let (mut found, mut rest) = (Subjects::default(), expression);
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let (word, behind) = split(rest, |letter| letter.is_ascii_alphanumeric() || "_:".contains(letter));
            rest = take_word(word, behind, &mut found);
        } else if first.is_ascii_digit() {
            // A duration's unit belongs to its number.
            rest = split(rest, |letter| letter.is_ascii_alphanumeric() || letter == '.').1;
        } else if first == '[' {
            rest = split(rest, |letter| letter != ']').1;
        } else {
            assert!(!"{\"'`".contains(first), "{first} stands alone in {expression}");
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn take_word<'a>(word: &str, behind: &'a str, found: &mut Subjects) -> &'a str {
    let next = behind.trim_start();
    if LISTS.contains(&word) && next.starts_with('(') {
        let (list, behind) = split(&next[1..], |letter| letter != ')');
        found.labels.extend(list.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()));
        return behind;
    }
    let is_word = LISTS.contains(&word) || WORDS.contains(&word) || AGGREGATIONS.contains(&word);
    if is_word || next.starts_with('(') {
        return behind;
    }
    let matchers = if behind.starts_with('{') { &behind[..closing(behind)] } else { "" };
    found.selectors.push(format!("{word}{matchers}"));
    &behind[matchers.len()..]
}

/// The length of what `text` begins with, from its brace to the one that closes it outside of quotes.
fn closing(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return at + 1,
            _ => {}
        }
    }
    panic!("no closing brace in {text}")
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

/// The labels in `{{ $labels.name }}` and in a legend's `{{name}}`.
pub(super) fn template_labels(text: &str) -> Vec<String> {
    let templates = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let names = templates.map(|template| template.trim().trim_start_matches("$labels."));
    names
        .filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn selectors_and_labels_are_found() {
    let found = |expression| {
        let Subjects { selectors, labels } = subjects(expression);
        (selectors, labels)
    };
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let nested = r#"histogram_quantile(0.99, sum by (le, route) (rate(a_bucket{x=~"}|\"b",y!="(c)"}[5m]))) > 1e3"#;
    assert_eq!(found(nested), (owned(&[r#"a_bucket{x=~"}|\"b",y!="(c)"}"#]), owned(&["le", "route"])));
    let joined = "max(a and on (job, instance) b:c:d == 1) or sum(d offset 5m) without (e) unless vector(0)";
    assert_eq!(found(joined), (owned(&["a", "b:c:d", "d"]), owned(&["job", "instance", "e"])));
    let subquery = "a / on () group_left b > bool avg_over_time(c[7d:1m] offset 1d)";
    assert_eq!(found(subquery), (owned(&["a", "b", "c"]), owned(&[])));
    assert_eq!(template_labels(r#"{{ $labels.a }} is {{ $value | printf "%.2f" }}: {{b}}"#), ["a", "b"]);
}
