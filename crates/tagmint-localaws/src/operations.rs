//! The operations that AWS has, and which one a request to S3 is.
//!
//! The table is `data/operations.txt`, made from the service models. s3s takes a query parameter that it does not know for none, and would
//! delete an object for `DELETE /b/k?annotation`: what a request is must be known before s3s sees it.

use std::sync::LazyLock;

use http::{HeaderMap, Method};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../data/operations.txt")));

/// Parameters of requests that list a bucket. S3 takes those of the one list for the other.
const LIST_PARAMETERS: [&str; 12] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "marker",
    "max-keys",
    "max-uploads",
    "prefix",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
];

struct Table {
    s3: Vec<Operation>,
    actions: Vec<(&'static str, &'static str)>,
}

/// An operation of S3.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// As `PutObject`.
    pub name: &'static str,
    method: &'static str,
    on: On,
    /// Query parameters that a request of it has, `select-type=2` with its value.
    selectors: Vec<&'static str>,
    /// Further query parameters that it can have.
    parameters: Vec<&'static str>,
    /// Headers that a request of it has.
    headers: Vec<&'static str>,
}

/// The target of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// `/`
    Root,
    /// `/BUCKET` or `/BUCKET/`
    Bucket,
    /// `/BUCKET/KEY`
    Object,
}

impl On {
    /// The target of a path, percent-encoded slashes included.
    pub fn of(path: &str) -> Self {
        let path = path.replace("%2F", "/").replace("%2f", "/");
        match path.strip_prefix('/').unwrap_or(&path).split_once('/') {
            _ if path == "/" => Self::Root,
            Some((_, key)) if !key.is_empty() => Self::Object,
            _ => Self::Bucket,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "the service",
            Self::Bucket => "a bucket",
            Self::Object => "an object",
        }
    }
}

/// Why a request is no operation.
#[derive(Debug, PartialEq, Eq)]
pub enum NoOperation {
    /// The method with these parameters, which AWS does not have, or not here.
    Unknown(String),
    /// Parameters that select different operations.
    Conflict(Vec<&'static str>),
    /// A parameter that stands there more than once.
    Repeated(String),
}

/// Decides which operation a request is. Everything in its query has to belong to that operation; of what does not, S3's signatures and what
/// begins with `x-` are no parameters (user guide of S3, "Server access log format": custom access log information).
pub fn of_request(
    method: &Method,
    on: On,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Result<&'static Operation, NoOperation> {
    let asked_for = query.iter().find(|(name, _)| name == "x-id").map(|(_, value)| value.as_str());
    let is_parameter = |name: &str| !name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
    let query: Vec<(&str, &str)> = query
        .iter()
        .filter(|(name, _)| is_parameter(name))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for (index, (name, _)) in query.iter().enumerate() {
        if query[..index].iter().any(|(before, _)| before == name) {
            return Err(NoOperation::Repeated((*name).to_owned()));
        }
    }
    let candidates = TABLE.s3.iter().filter(|operation| operation.method == method.as_str() && operation.on == on);
    let candidates = candidates.filter(|operation| operation.is_selected(&query, headers));
    // `ListBuckets` and `ListDirectoryBuckets` have the same route; the first one counts unless the request says which.
    let found = candidates.rev().max_by_key(|operation| {
        let takes_all = query.iter().all(|(name, _)| operation.takes(name));
        (operation.selectors.len() + operation.headers.len(), takes_all, asked_for == Some(operation.name))
    });
    let unknown = |what: &str| NoOperation::Unknown(format!("{method} on {}{what}", on.as_str()));
    let Some(found) = found else {
        let names: Vec<&str> = query.iter().map(|(name, _)| *name).collect();
        return Err(unknown(&with_query(&names)));
    };
    let foreign: Vec<&str> = query.iter().map(|(name, _)| *name).filter(|name| !found.takes(name)).collect();
    let selecting: Vec<&'static str> = foreign.iter().filter_map(|name| selector(name)).collect();
    if !selecting.is_empty() && selecting.len() == foreign.len() && found.has_subresource() {
        let mut names: Vec<&'static str> =
            found.selectors.iter().map(|selector| bare(selector)).chain(selecting).collect();
        names.sort_unstable();
        return Err(NoOperation::Conflict(names));
    }
    if !foreign.is_empty() {
        return Err(unknown(&with_query(&foreign)));
    }
    match asked_for.and_then(|name| TABLE.s3.iter().find(|operation| operation.name == name)) {
        Some(other) if !other.is_same_route(found) => Err(unknown(&format!(" with x-id={}", other.name))),
        _ => Ok(found),
    }
}

fn with_query(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!(" with ?{}", names.join("&")) }
}

fn bare(selector: &'static str) -> &'static str {
    selector.split_once('=').map_or(selector, |(name, _)| name)
}

/// A parameter that selects an operation.
fn selector(name: &str) -> Option<&'static str> {
    TABLE
        .s3
        .iter()
        .flat_map(|operation| &operation.selectors)
        .map(|selector| bare(selector))
        .find(|known| *known == name)
}

impl Operation {
    fn is_selected(&self, query: &[(&str, &str)], headers: &HeaderMap) -> bool {
        let given = |selector: &str| match selector.split_once('=') {
            Some((name, wanted)) => query.iter().any(|(given, value)| *given == name && *value == wanted),
            None => query.iter().any(|(given, _)| *given == selector),
        };
        self.selectors.iter().all(|selector| given(selector))
            && self.headers.iter().all(|name| headers.contains_key(*name))
    }

    fn takes(&self, name: &str) -> bool {
        let lists = self.on == On::Bucket && self.name.starts_with("List");
        self.selectors.iter().any(|selector| bare(selector) == name)
            || self.parameters.contains(&name)
            || (lists && LIST_PARAMETERS.contains(&name))
    }

    /// Whether the query says which operation it is; parts of uploads are one of objects without it.
    fn has_subresource(&self) -> bool {
        self.selectors.iter().any(|selector| !["uploadId", "partNumber"].contains(selector))
    }

    fn is_same_route(&self, other: &Self) -> bool {
        (self.method, self.on, &self.selectors, &self.headers)
            == (other.method, other.on, &other.selectors, &other.headers)
    }
}

/// Whether a service of the query protocol, `sts` or `iam`, has an action of this name.
pub fn has_action(service: &str, action: &str) -> bool {
    TABLE.actions.contains(&(service, action))
}

/// The names of S3's operations.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.s3.iter().map(|operation| operation.name)
}

impl Table {
    fn read(text: &'static str) -> Self {
        let (mut s3, mut actions) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let words: Vec<&'static str> = line.split(' ').collect();
            match words[..] {
                ["s3", name, method, on, selectors, parameters, headers] => {
                    let on = match on {
                        "root" => On::Root,
                        "bucket" => On::Bucket,
                        _ => On::Object,
                    };
                    let list = |words: &'static str| words.split(',').filter(|word| *word != "-").collect();
                    let (selectors, parameters, headers) = (list(selectors), list(parameters), list(headers));
                    s3.push(Operation { name, method, on, selectors, parameters, headers });
                }
                [service @ ("sts" | "iam"), action] => actions.push((service, action)),
                _ => {}
            }
        }
        Self { s3, actions }
    }
}

#[cfg(test)]
mod tests;
