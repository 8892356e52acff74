//! YAML files as JSON, read by the library that the AWS command brings along.

use std::{path::Path, process::Command};

use serde_json::Value;
use tagmint_e2e::python;

use super::TestResult;

/// The file's document.
pub fn read(file: &Path) -> TestResult<Value> {
    let program = "import json, sys, yaml\nprint(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let output = Command::new(python()?).args(["-c", program]).arg(file).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", file.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The texts of a mapping; a number or boolean as it is written.
pub fn texts(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}
