//! The dashboard and the alerts in `deploy/observability/`: every metric that they ask for is there.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::World;

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Every text under a key with this name.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| texts(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

/// The names of metrics in an expression: what is no label, no function and no text.
fn metrics(expression: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = expression.split(|letter| !is_part(letter));
    let ours = words.filter(|word| word.starts_with("userbridge_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_what_a_server_exposes() {
    let world = World::start(|command| command);
    world.retrieve().send().await.unwrap();
    let scrape = world.scrape().await;
    let exposed: BTreeSet<_> = scrape.names().into_iter().collect();

    let dashboard: Value = serde_json::from_str(&file("grafana-dashboard.json")).unwrap();
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    texts(&dashboard, "query", &mut expressions);
    let alerts = file("alerts.yml");
    let rules = alerts.matches("- alert: ").count();
    assert!(expressions.len() > 20 && rules > 5);
    assert_eq!(alerts.matches("expr: ").count(), rules);
    let mut asked = BTreeSet::new();
    for expression in expressions.into_iter().chain([alerts.as_str()]) {
        for metric in metrics(expression) {
            assert!(exposed.contains(metric.as_str()), "{metric} in {expression}");
            asked.insert(metric);
        }
    }
    // And nothing is exposed that nobody looks at.
    let base = |name: &str| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let stripped = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
        stripped.unwrap_or(name).to_owned()
    };
    let asked: BTreeSet<_> = asked.iter().map(|name| base(name)).collect();
    let unasked: Vec<_> = exposed
        .iter()
        .map(|name| base(name))
        .filter(|name| !asked.contains(name))
        .collect();
    let left_out = ["process_virtual_memory_bytes", "process_threads"];
    assert!(
        unasked.iter().all(|name| left_out.contains(&name.as_str())),
        "{unasked:?}"
    );
}
