//! What is shipped for monitoring speaks of metrics that there are, and each alarm has its section in the documentation.

use std::{collections::BTreeSet, path::PathBuf};

use tagmint_aws::sweep::FIGURES;
use tagmint_core::alarm::AlarmKind;
use tagmint_server::metrics::CATALOGUE;

fn read(path: &str) -> String {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    std::fs::read_to_string(root.join(path)).expect(path)
}

/// The names of metrics in a text. A histogram's have endings.
fn metrics(text: &str) -> BTreeSet<&str> {
    let names =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("tagmint_"));
    let histogram = |name: &str| CATALOGUE.iter().any(|(known, kind, _)| *known == name && *kind == "histogram");
    let plain = |name| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| str::strip_suffix(name, end)).filter(|name| histogram(name))
    };
    names.map(|name| plain(name).unwrap_or(name)).collect()
}

/// The headings of the page about alarms.
fn headings(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("### ").or(line.strip_prefix("## "))).collect()
}

#[test]
fn rules_and_dashboard_name_metrics_that_there_are() {
    let known: BTreeSet<&str> =
        CATALOGUE.iter().map(|(name, ..)| *name).chain(FIGURES.iter().map(|(name, _)| *name)).collect();
    for (path, least) in [
        ("deploy/monitoring/tagmint.rules.yml", 8),
        ("deploy/monitoring/tagmint.rules.test.yml", 8),
        ("deploy/monitoring/grafana-dashboard.json", 15),
    ] {
        let text = read(path);
        let named = metrics(&text);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{path} names metrics that there are not: {unknown:?}");
        assert!(named.len() >= least, "{path}: {named:?}");
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/monitoring/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 15);
    let mut ids = BTreeSet::new();
    for panel in panels {
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(description.len() > 20 && description.ends_with('.'), "{}: `{description}`", panel["title"]);
        assert!(ids.insert(panel["id"].as_i64()), "{}: its id stands twice", panel["title"]);
    }
}

/// Whoever scrapes chooses the names of jobs; an alert that assumed one would never fire elsewhere.
#[test]
fn no_alert_assumes_a_job_name() {
    for path in ["deploy/monitoring/tagmint.rules.yml", "deploy/monitoring/grafana-dashboard.json"] {
        assert!(!read(path).replace(' ', "").contains("job="), "{path}");
    }
    let scrape = read("deploy/monitoring/prometheus.yml");
    for shown in ["rule_files: [tagmint.rules.yml]", "127.0.0.1:9464", "scrape_configs:"] {
        assert!(scrape.contains(shown), "{shown}");
    }
    assert!(read("docs/operating.md").contains("prometheus.yml") && read("docs/alarms.md").contains("prometheus.yml"));
}

#[test]
fn every_alarm_and_every_alert_has_its_section() {
    let page = read("docs/alarms.md");
    let headings = headings(&page);
    let runbook = read("docs/runbook.md");
    let found: BTreeSet<&str> =
        runbook.lines().filter(|line| line.starts_with("| `")).flat_map(|row| row.split('`')).collect();
    for kind in AlarmKind::ALL {
        assert!(headings.contains(kind.as_str()), "docs/alarms.md has no section `## {kind}`");
        assert!(found.contains(kind.as_str()), "docs/runbook.md does not say where to go for `{kind}`");
    }
    let rules = read("deploy/monitoring/tagmint.rules.yml");
    let runbooks = rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: "));
    let runbooks: Vec<&str> = runbooks.map(|name| name.trim_matches('"')).collect();
    assert_eq!(runbooks.len(), rules.matches("- alert: ").count());
    for runbook in runbooks.into_iter().filter(|name| *name != "{{ $labels.alarm }}") {
        assert!(headings.contains(runbook), "docs/alarms.md has no section `{runbook}`");
        assert!(found.contains(runbook), "docs/runbook.md does not say where to go for `{runbook}`");
    }
}

#[test]
fn the_sections_that_the_runbook_names_are_there() {
    let page = read("docs/runbook.md");
    let anchor = |heading: &str| {
        let kept =
            heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    };
    let anchors: BTreeSet<String> = headings(&page).into_iter().map(anchor).collect();
    let named: Vec<&str> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        assert!(anchors.contains(name), "docs/runbook.md has no section `#{name}`: {anchors:?}");
    }
}

#[test]
fn no_step_of_a_unit_has_more_rights_than_its_service() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../systemd"));
    let mut steps = 0;
    for unit in std::fs::read_dir(folder).expect("the units") {
        let unit = unit.expect("a unit").path();
        let text = std::fs::read_to_string(&unit).expect("a unit");
        for line in text.lines().filter(|line| line.starts_with("Exec")) {
            let (_, command) = line.split_once('=').expect("a step");
            let prefix: String = command.chars().take_while(|c| "@-:+!|".contains(*c)).collect();
            assert!(!prefix.contains(['+', '!']), "{}: {line}", unit.display());
            steps += 1;
        }
    }
    assert!(steps >= 5, "{steps} steps were found");
}

#[test]
fn the_figures_of_a_sweep_are_told_as_they_are() {
    let page = read("docs/sweep.md");
    for (name, meaning) in FIGURES {
        let row = format!("| `{name}` | {meaning} |");
        assert!(page.contains(&row), "docs/sweep.md lacks {row}");
    }
}
