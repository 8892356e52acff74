//! As much of GitHub's expressions as our files use: literals, contexts, `==`, `!=`, `&&`, `||`, `format`, `!cancelled()`. Anything else is an error.

use serde_json::Value;

use super::TestResult;

/// Fills in a text's `${{ … }}`.
pub fn expand(text: &str, contexts: &Value) -> TestResult<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}").ok_or_else(|| format!("`{text}` has no end"))?;
        filled += before;
        filled += &evaluate(expression, contexts)?;
        rest = after;
    }
    Ok(filled + rest)
}

/// Whether a condition (`if:`) holds.
pub fn holds(expression: &str, contexts: &Value) -> TestResult<bool> {
    Ok(!evaluate(expression, contexts)?.is_empty())
}

/// An expression's value as a text; false and null are the empty one.
fn evaluate(expression: &str, contexts: &Value) -> TestResult<String> {
    let mut parser = Parser { rest: expression.trim(), contexts };
    let value = parser.or()?;
    if parser.rest.is_empty() { Ok(value) } else { Err(format!("`{}` in `{expression}`", parser.rest).into()) }
}

struct Parser<'a> {
    rest: &'a str,
    contexts: &'a Value,
}

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn or(&mut self) -> TestResult<String> {
        let mut value = self.and()?;
        while self.take("||") {
            let other = self.and()?;
            value = if value.is_empty() { other } else { value };
        }
        Ok(value)
    }

    fn and(&mut self) -> TestResult<String> {
        let mut value = self.comparison()?;
        while self.take("&&") {
            let other = self.comparison()?;
            value = if value.is_empty() { value } else { other };
        }
        Ok(value)
    }

    fn comparison(&mut self) -> TestResult<String> {
        let left = self.term()?;
        let wanted = if self.take("==") {
            true
        } else if self.take("!=") {
            false
        } else {
            return Ok(left);
        };
        let equal = left.eq_ignore_ascii_case(&self.term()?);
        Ok(if equal == wanted { "true".to_owned() } else { String::new() })
    }

    fn term(&mut self) -> TestResult<String> {
        if let Some(rest) = self.rest.strip_prefix('\'') {
            let (literal, rest) = rest.split_once('\'').ok_or("a literal without an end")?;
            self.rest = rest.trim_start();
            return Ok(literal.to_owned());
        }
        if self.take("format(") {
            let mut text = self.or()?;
            let mut number = 0;
            while self.take(",") {
                text = text.replace(&format!("{{{number}}}"), &self.or()?);
                number += 1;
            }
            return if self.take(")") { Ok(text) } else { Err("`format(` without an end".into()) };
        }
        if self.take("!cancelled()") {
            return Ok("true".to_owned());
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).unwrap_or(self.rest.len());
        let (path, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        let pointer = format!("/{}", path.replace('.', "/"));
        let value = self.contexts.pointer(&pointer).ok_or_else(|| format!("there is no `{path}`"))?;
        Ok(match value {
            Value::Null | Value::Bool(false) => String::new(),
            value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        })
    }
}

#[test]
fn expressions_are_githubs() -> TestResult {
    let contexts = serde_json::json!({"inputs": {"a": "", "b-c": "x"}, "github": {"run_id": "7", "number": 4, "fork": false, "dry": true}});
    for (text, value) in [
        ("${{ inputs.a || inputs.b-c || 'd' }}", "x"),
        ("${{ inputs.a || inputs.a || 'd' }}!", "d!"),
        ("gh-${{ github.run_id }}-${{ github.number }}", "gh-7-4"),
        ("${{ github.run_id == '7' && format('pr/{0}', github.number) || 'main' }}", "pr/4"),
        ("${{ github.run_id != '7' && 'x' || 'main' }}", "main"),
        ("${{ github.run_id == '8' || github.dry }}", "true"),
        ("${{ github.fork || inputs.a || 'neither' }}", "neither"),
    ] {
        assert_eq!(expand(text, &contexts)?, value, "{text}");
    }
    assert!(holds("inputs.b-c != ''", &contexts)? && !holds("inputs.a != ''", &contexts)?);
    for text in ["${{ inputs.other }}", "${{ inputs.a", "${{ inputs.a inputs.a }}", "${{ toJSON(inputs.a) }}"] {
        assert!(expand(text, &contexts).is_err(), "{text}");
    }
    Ok(())
}
