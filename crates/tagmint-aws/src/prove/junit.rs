//! The report as JUnit XML.

use super::report::{Outcome, Report, Row};
use crate::junit::{self, Case};

/// What all cases belong to.
const SUITE: &str = "tagmint prove";

/// The document.
pub(super) fn render(report: &Report, proof: &str) -> String {
    let cases: Vec<Case> = report.rows.iter().map(|row| case(row, proof)).collect();
    junit::render(SUITE, &cases)
}

fn case(row: &Row, proof: &str) -> Case {
    let outcome = match row.outcome {
        Outcome::Passed => junit::Outcome::Passed,
        Outcome::Failed => junit::Outcome::Failed {
            message: format!("wanted {}, found {}", row.expected, row.observed),
            text: row.explanation.clone().unwrap_or_default(),
        },
        Outcome::NotChecked => junit::Outcome::Skipped { message: row.observed.clone() },
    };
    let output = Some(format!("{}: {}", row.proves, row.observed));
    Case { class: proof.to_owned(), name: row.name.clone(), outcome, output }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::report::tests::row;

    #[test]
    fn it_is_as_ci_systems_read_it() {
        let mut strange = row("c", Outcome::Failed, Some("<\"&' \u{1b}[31m ]]>"));
        strange.observed = "200 \"<x>\"\u{0}".to_owned();
        let rows = vec![row("a", Outcome::Passed, None), row("b", Outcome::NotChecked, None), strange];
        let xml = render(&Report { rows, left: Vec::new() }, "data as role");
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" skipped="1">
  <testsuite name="tagmint prove" tests="3" failures="1" skipped="1">
    <testcase classname="data as role" name="a">
      <system-out>a holds: seen</system-out>
    </testcase>
    <testcase classname="data as role" name="b">
      <skipped message="seen"/>
      <system-out>b holds: seen</system-out>
    </testcase>
    <testcase classname="data as role" name="c">
      <failure message="wanted 200, found 200 &quot;&lt;x&gt;&quot;�">&lt;&quot;&amp;&apos; �[31m ]]&gt;</failure>
      <system-out>c holds: 200 &quot;&lt;x&gt;&quot;�</system-out>
    </testcase>
  </testsuite>
</testsuites>"#;
        assert_eq!(xml, expected);
    }
}
