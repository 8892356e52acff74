//! What came of the checks.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::junit;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it has to be.
    Passed,
    /// It is not.
    Failed,
    /// It could not be found out.
    NotChecked,
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name, stable, as `own-list`.
    pub name: String,
    /// What it proves when it passes.
    pub proves: String,
    /// What has to be seen.
    pub expected: String,
    /// What was seen; why nothing could be, where it was not checked.
    pub observed: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it failed, and what to do about it.
    pub explanation: Option<String>,
}

/// Something that the proof wrote and could not remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The object's key.
    pub key: String,
    /// The version, where the bucket keeps versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it could not be removed.
    pub why: String,
}

/// The whole proof. As JSON: `{"passed", "rows": [{"name", "proves", "expected", "observed", "passed", "explanation"?}], "not_checked":
/// [{"name", "proves", "expected", "why"}], "left": [{"key", "version"?, "why"}]}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All rows, in the order of the checks.
    pub rows: Vec<Row>,
    /// What was written and is still there.
    pub left: Vec<Left>,
}

impl Report {
    /// Whether no check failed. Checks that were not made do not count.
    pub fn passed(&self) -> bool {
        self.count(Outcome::Failed) == 0
    }

    /// How many checks ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.of(outcome).count()
    }

    /// The report as JUnit XML. `proof` names what was proved, as the bucket and the role.
    pub fn junit(&self, proof: &str) -> String {
        junit::render(self, proof)
    }

    fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.outcome == outcome)
    }
}

#[derive(Serialize)]
struct Checked<'a> {
    name: &'a str,
    proves: &'a str,
    expected: &'a str,
    observed: &'a str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a str>,
}

#[derive(Serialize)]
struct NotChecked<'a> {
    name: &'a str,
    proves: &'a str,
    expected: &'a str,
    why: &'a str,
}

impl<'a> Checked<'a> {
    fn of(row: &'a Row) -> Self {
        let Row { name, proves, expected, observed, outcome, explanation } = row;
        let (passed, explanation) = (*outcome == Outcome::Passed, explanation.as_deref());
        Self { name, proves, expected, observed, passed, explanation }
    }
}

impl<'a> NotChecked<'a> {
    fn of(row: &'a Row) -> Self {
        let Row { name, proves, expected, observed: why, .. } = row;
        Self { name, proves, expected, why }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let made = self.rows.iter().filter(|row| row.outcome != Outcome::NotChecked);
        let not_checked = self.of(Outcome::NotChecked).map(NotChecked::of);
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("passed", &self.passed())?;
        map.serialize_entry("rows", &made.map(Checked::of).collect::<Vec<_>>())?;
        map.serialize_entry("not_checked", &not_checked.collect::<Vec<_>>())?;
        map.serialize_entry("left", &self.left)?;
        map.end()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::prove) fn row(name: &str, outcome: Outcome, explanation: Option<&str>) -> Row {
        Row {
            name: name.to_owned(),
            proves: format!("{name} holds"),
            expected: "200".to_owned(),
            observed: "seen".to_owned(),
            outcome,
            explanation: explanation.map(str::to_owned),
        }
    }

    #[test]
    fn the_json_has_the_agreed_members() {
        let rows = vec![
            row("a", Outcome::Passed, None),
            row("b", Outcome::NotChecked, None),
            row("c", Outcome::Failed, Some("because")),
        ];
        let left = vec![Left { key: "k".to_owned(), version: None, why: "w".to_owned() }];
        let report = Report { rows, left };
        let expected = json!({
            "passed": false,
            "rows": [
                {"name": "a", "proves": "a holds", "expected": "200", "observed": "seen", "passed": true},
                {"name": "c", "proves": "c holds", "expected": "200", "observed": "seen", "passed": false, "explanation": "because"},
            ],
            "not_checked": [{"name": "b", "proves": "b holds", "expected": "200", "why": "seen"}],
            "left": [{"key": "k", "why": "w"}],
        });
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    }

    #[test]
    fn what_was_not_checked_neither_passes_nor_fails() {
        let report = Report { rows: vec![row("b", Outcome::NotChecked, None)], left: Vec::new() };
        assert!(report.passed());
        assert_eq!((report.count(Outcome::Passed), report.count(Outcome::NotChecked)), (0, 1));
    }
}
