//! JUnit XML, as CI systems read it.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

/// One test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it belongs to, as a file.
    pub class: String,
    /// Its name.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What it printed, if anything.
    pub output: Option<String>,
}

/// What came of a test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed {
        /// In a line.
        message: String,
        /// In full.
        text: String,
    },
    /// It was not run.
    Skipped {
        /// Why.
        message: String,
    },
}

/// The document with one suite.
pub fn render(suite: &str, cases: &[Case]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut writer, suite, cases).expect("writing to memory does not fail");
    String::from_utf8(writer.into_inner()).expect("texts are UTF-8")
}

fn write(writer: &mut Writer<Vec<u8>>, suite: &str, cases: &[Case]) -> io::Result<()> {
    let count = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count().to_string();
    let tests = cases.len().to_string();
    let failures = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
    let counts = [("tests", &*tests), ("failures", &*failures), ("skipped", &*skipped)];
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = writer.create_element("testsuites").with_attributes(counts);
    suites.write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attribute(("name", suite)).with_attributes(counts);
        suite.write_inner_content(|writer| cases.iter().try_for_each(|case| write_case(writer, case)))?;
        Ok(())
    })?;
    Ok(())
}

fn write_case(writer: &mut Writer<Vec<u8>>, case: &Case) -> io::Result<()> {
    let (class, name) = (clean(&case.class), clean(&case.name));
    let element = writer.create_element("testcase").with_attribute(("classname", &*class));
    element.with_attribute(("name", &*name)).write_inner_content(|writer| {
        match &case.outcome {
            Outcome::Passed => {}
            Outcome::Failed { message, text } => {
                let (message, text) = (clean(message), clean(text));
                let failure = writer.create_element("failure").with_attribute(("message", &*message));
                failure.write_text_content(BytesText::new(&text))?;
            }
            Outcome::Skipped { message } => {
                writer.create_element("skipped").with_attribute(("message", &*clean(message))).write_empty()?;
            }
        }
        if let Some(output) = &case.output {
            writer.create_element("system-out").write_text_content(BytesText::new(&clean(output)))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Without the characters that XML 1.0 does not have.
fn clean(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r') || (*c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().map(|c| if allowed(&c) { c } else { '\u{fffd}' }).collect()
}
