//! Names the kind of a text that is not JSON.

/// Says what it is, and what to do.
pub(super) fn why(text: &str, parser: &str) -> String {
    if text.starts_with("eyJ") && text.matches('.').count() == 2 {
        return "it is a token and no policy: give it as --token".to_owned();
    }
    if text.starts_with("An error occurred") || text.contains("An error occurred (") {
        return "it is an error of the AWS CLI and no policy: `tagmint explain --error FILE` explains it".to_owned();
    }
    if text.starts_with(['{', '[', '"']) {
        return defect(text).unwrap_or_else(|| format!("it is not acceptable JSON: {parser}"));
    }
    if ["jsonencode(", "data \"aws_iam_policy_document\"", "resource \"aws_", "assume_role_policy"]
        .iter()
        .any(|part| text.contains(part))
    {
        return "it is Terraform's source and no JSON: give the output of `terraform show -json`, or of `aws iam get-role --role-name NAME`".to_owned();
    }
    if text.starts_with('<') {
        return "it is XML or HTML and no JSON: give the output of `aws iam get-role --role-name NAME`".to_owned();
    }
    if text.starts_with("---\n") || text.lines().any(is_yaml) {
        return "it is YAML and no JSON: convert it (`yq -o=json FILE`), or give the output of `aws iam get-role --role-name NAME --output json`".to_owned();
    }
    if text.starts_with(['+', '|', '-']) || text.contains('\t') {
        return "it is a table and no JSON: call the AWS CLI with `--output json`".to_owned();
    }
    format!("it is not JSON: {parser}")
}

/// A line such as `Statement:` or `- Effect: Allow`.
fn is_yaml(line: &str) -> bool {
    const NAMES: [&str; 9] = [
        "Version",
        "Statement",
        "Effect",
        "Role",
        "AssumeRolePolicyDocument",
        "PolicyDocument",
        "Resources",
        "Type",
        "AWSTemplateFormatVersion",
    ];
    let line = line.trim_start().trim_start_matches("- ").trim_start();
    line.split_once(':').is_some_and(|(name, rest)| {
        NAMES.contains(&name.trim_matches(['"', '\''])) && (rest.is_empty() || rest.starts_with([' ', '\r']))
    })
}

/// What JSON doesn't have, with its line.
fn defect(text: &str) -> Option<String> {
    let mut line = 1;
    let mut in_string = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => line += 1,
            '\\' if in_string => {
                characters.next();
            }
            '"' => in_string = !in_string,
            _ if in_string => {}
            '/' if matches!(characters.peek(), Some('/' | '*')) => {
                return Some(format!("line {line} has a comment, which JSON does not have: take it out"));
            }
            '#' => return Some(format!("line {line} has a comment, which JSON does not have: take it out")),
            ',' => {
                let mut ahead = characters.clone().skip_while(|c| c.is_whitespace());
                if let Some(close @ ('}' | ']')) = ahead.next() {
                    return Some(format!(
                        "line {line} has a comma before `{close}`, which JSON does not have: take it out"
                    ));
                }
            }
            '\'' => return Some(format!("line {line} has single quotes, and JSON has double ones: write \" for '")),
            '\u{201c}' | '\u{201d}' | '\u{201e}' => {
                return Some(format!(
                    "line {line} has typographic quotes ({character}), and JSON has straight ones: write \""
                ));
            }
            '\u{a0}' | '\u{200b}' | '\u{feff}' | '\u{2007}' | '\u{202f}' => {
                return Some(format!(
                    "line {line} has an invisible character (U+{:04X}) outside of a text: take it out",
                    u32::from(character)
                ));
            }
            _ => {}
        }
    }
    in_string.then(|| "a text has no closing quote: the end is missing, or a quote".to_owned())
}
