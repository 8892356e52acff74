//! What expressions see: the functions, shared by a whole rule set, and one request's identity.

use std::{cell::OnceCell, collections::HashMap, sync::Arc};

use cel::{
    Context, Env, ExecutionError, FunctionContext,
    common::{
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt},
        value::Val,
    },
    extensions,
};
use serde_json::{Map, Value};

use super::{
    check::Regexes,
    functions, limits,
    vocabulary::{CLAIMS, SUBJECT},
};
use crate::identity::VerifiedIdentity;

/// The functions of the rule language. `matches` looks its expressions up in `regexes`: CEL's own
/// compiles them at every call.
pub(super) fn root(regexes: Regexes) -> Context<'static, 'static> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings).expect("the extension is added once");
    let mut root = Context::with_env(Arc::new(env));
    let matches = move |call: &FunctionContext<'_, '_>| -> Result<bool, ExecutionError> {
        let mut operands = call.this.iter().chain(&call.args);
        let (Some(text), Some(pattern)) = (operands.next(), operands.next()) else {
            return Err(call.error("wants a text and a regular expression"));
        };
        let (Some(text), Some(pattern)) =
            (text.downcast_ref::<CelString<'_>>(), pattern.downcast_ref::<CelString<'_>>())
        else {
            return Err(call.error(format!("looks at texts, not at a {}", text.get_type().name())));
        };
        if text.inner().len() > limits::MAX_REGEX_INPUT {
            return Err(call.error(format!("looks at most at {} bytes", limits::MAX_REGEX_INPUT)));
        }
        let regex = regexes.get(pattern.inner());
        let regex = regex.ok_or_else(|| call.error("the regular expression was not checked"))?;
        Ok(regex.is_match(text.inner()))
    };
    root.add_function("matches", matches).expect("CEL is built without its own `matches`");
    functions::add(&mut root);
    root
}

/// What the expressions of one request see of its identity. CEL's form of it is made when the first expression asks.
pub(super) struct Names<'r> {
    root: &'r Context<'static, 'static>,
    identity: &'r VerifiedIdentity,
    scope: OnceCell<Context<'r, 'r>>,
}

impl<'r> Names<'r> {
    pub(super) fn new(root: &'r Context<'static, 'static>, identity: &'r VerifiedIdentity) -> Self {
        Self { root, identity, scope: OnceCell::new() }
    }

    pub(super) fn scope(&self) -> &Context<'r, 'r> {
        self.scope.get_or_init(|| scope(self.root, self.identity))
    }

    /// Appends a claim's value to `text`.
    pub(super) fn render(&self, name: &str, text: &mut String) -> Result<(), String> {
        if name == SUBJECT {
            text.push_str(&self.identity.subject);
            return Ok(());
        }
        match self.identity.attributes.get(name) {
            None | Some(Value::Null) => return Err(format!("there is no claim `{name}`")),
            Some(Value::String(value)) => text.push_str(value),
            Some(Value::Bool(flag)) => text.push_str(if *flag { "true" } else { "false" }),
            Some(Value::Number(number)) if !number.is_f64() => text.push_str(&number.to_string()),
            Some(_) => {
                return Err(format!(
                    "`{name}` is no text; only text, whole numbers, true and false can stand in a template"
                ));
            }
        }
        Ok(())
    }
}

/// The scope of one request: `sub`, each attribute by its name, and `claims`, a map of all attributes; borrowed from `identity`.
fn scope<'r>(root: &'r Context<'static, 'static>, identity: &'r VerifiedIdentity) -> Context<'r, 'r> {
    let mut scope: Context<'r, 'r> = root.new_inner_scope();
    // A name with a dot could stand for the member of another claim: it is in `claims` alone.
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    for (name, json) in identity.attributes.iter().filter(|(name, _)| plain(name)) {
        scope.add_variable_as_val(name.as_str(), value(json));
    }
    // Last, so that no attribute takes their place.
    scope.add_variable_as_val(SUBJECT, text(&identity.subject));
    scope.add_variable_as_val(CLAIMS, object(&identity.attributes));
    scope
}

/// The scope of a tag's `matches`: a request's, and the requested `value`.
pub(super) fn scope_with_value<'c, 'r: 'c>(request: &'c Context<'r, 'r>, value: &'r str) -> Context<'c, 'r> {
    let mut scope = request.new_inner_scope();
    scope.add_variable_as_val("value", text(value));
    scope
}

fn text<'v>(text: &'v str) -> Box<dyn Val + 'v> {
    Box::new(CelString::from(text))
}

fn object<'v>(object: &'v Map<String, Value>) -> Box<dyn Val + 'v> {
    let entries: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> =
        object.iter().map(|(key, json)| (CelMapKey::from(key.as_str()), value(json))).collect();
    Box::new(CelMap::from(entries))
}

/// JSON as CEL sees it: whole numbers are `int` (or `uint` where they are too large), others `double`.
fn value<'v>(json: &'v Value) -> Box<dyn Val + 'v> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(bool) => Box::new(CelBool::from(*bool)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(uint)) => Box::new(CelUInt::from(uint)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(string) => text(string),
        Value::Array(array) => Box::new(CelList::from(array.iter().map(value).collect::<Vec<_>>())),
        Value::Object(map) => object(map),
    }
}

/// What of an identity is over its limit, if anything.
pub(super) fn too_large(identity: &VerifiedIdentity) -> Option<String> {
    use limits::{MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTE_DEPTH, MAX_ATTRIBUTE_VALUES, MAX_IDENTITY_SUBJECT};
    if identity.subject.len() > MAX_IDENTITY_SUBJECT {
        let len = identity.subject.len();
        return Some(format!("its subject has {len} bytes; {MAX_IDENTITY_SUBJECT} are allowed"));
    }
    let mut measure = Measure { bytes: 2, values: 0 };
    match measure.object(&identity.attributes, 1) {
        Ok(()) => None,
        Err(TooLarge::Bytes) => Some(format!("its attributes have over {MAX_ATTRIBUTE_BYTES} bytes of JSON")),
        Err(TooLarge::Values) => Some(format!("its attributes hold over {MAX_ATTRIBUTE_VALUES} values")),
        Err(TooLarge::Depth) => Some(format!("its attributes nest deeper than {MAX_ATTRIBUTE_DEPTH} levels")),
    }
}

enum TooLarge {
    Bytes,
    Values,
    Depth,
}

/// The size of JSON as compact text (escapes not counted) and in values.
struct Measure {
    bytes: usize,
    values: usize,
}

impl Measure {
    fn object(&mut self, object: &Map<String, Value>, depth: usize) -> Result<(), TooLarge> {
        object.iter().try_for_each(|(key, json)| {
            self.bytes += key.len() + 4;
            self.value(json, depth)
        })
    }

    fn value(&mut self, json: &Value, depth: usize) -> Result<(), TooLarge> {
        self.values += 1;
        self.bytes += match json {
            Value::String(text) => text.len() + 3,
            Value::Number(_) => 8,
            Value::Null | Value::Bool(_) => 5,
            Value::Array(_) | Value::Object(_) => 3,
        };
        if self.bytes > limits::MAX_ATTRIBUTE_BYTES {
            return Err(TooLarge::Bytes);
        }
        if self.values > limits::MAX_ATTRIBUTE_VALUES {
            return Err(TooLarge::Values);
        }
        let nested = || {
            if depth < limits::MAX_ATTRIBUTE_DEPTH { Ok(depth + 1) } else { Err(TooLarge::Depth) }
        };
        match json {
            Value::Array(array) => {
                let depth = nested()?;
                array.iter().try_for_each(|element| self.value(element, depth))
            }
            Value::Object(object) => {
                let depth = nested()?;
                self.object(object, depth)
            }
            _ => Ok(()),
        }
    }
}
