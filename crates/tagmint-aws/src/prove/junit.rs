//! The report as JUnit XML, as CI systems read it.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::report::{Outcome, Report, Row};

/// What all cases belong to.
const SUITE: &str = "tagmint prove";

/// The document.
pub(super) fn render(report: &Report, proof: &str) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut writer, report, proof).expect("writing to memory does not fail");
    String::from_utf8(writer.into_inner()).expect("texts are UTF-8")
}

fn write(writer: &mut Writer<Vec<u8>>, report: &Report, proof: &str) -> io::Result<()> {
    let tests = report.rows.len().to_string();
    let failures = report.count(Outcome::Failed).to_string();
    let skipped = report.count(Outcome::NotChecked).to_string();
    let counts = [("tests", &*tests), ("failures", &*failures), ("skipped", &*skipped)];
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = writer.create_element("testsuites").with_attributes(counts);
    suites.write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attribute(("name", SUITE)).with_attributes(counts);
        suite.write_inner_content(|writer| report.rows.iter().try_for_each(|row| case(writer, row, proof)))?;
        Ok(())
    })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, row: &Row, proof: &str) -> io::Result<()> {
    let class = clean(proof);
    let case = writer.create_element("testcase").with_attribute(("classname", &*class));
    case.with_attribute(("name", &*row.name)).write_inner_content(|writer| {
        let observed = clean(&row.observed);
        match row.outcome {
            Outcome::Passed => {}
            Outcome::Failed => {
                let message = format!("wanted {}, found {observed}", row.expected);
                let failure = writer.create_element("failure").with_attribute(("message", &*message));
                let text = clean(row.explanation.as_deref().unwrap_or_default());
                failure.write_text_content(BytesText::new(&text))?;
            }
            Outcome::NotChecked => {
                writer.create_element("skipped").with_attribute(("message", &*observed)).write_empty()?;
            }
        }
        let told = format!("{}: {observed}", clean(&row.proves));
        writer.create_element("system-out").write_text_content(BytesText::new(&told))?;
        Ok(())
    })?;
    Ok(())
}

/// Without the characters that XML 1.0 does not have.
fn clean(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r') || (*c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().map(|c| if allowed(&c) { c } else { '\u{fffd}' }).collect()
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
