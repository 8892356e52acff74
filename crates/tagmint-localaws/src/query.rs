//! AWS's query protocol, which STS and IAM speak: a form with an `Action`, answered in XML.

use tagmint_core::random::RandomUnavailable;
use tagmint_iam::{provider::IamError, web_identity::StsError};

use crate::xml::Xml;

/// The service that an action belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Security Token Service.
    Sts,
    /// Identity and Access Management.
    Iam,
}

impl Service {
    /// The name in a signature's scope and before the colon of an action.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Iam => "iam",
        }
    }

    /// The version of its API, which every request names.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Sts => "2011-06-15",
            Self::Iam => "2010-05-08",
        }
    }

    /// The service whose API version a request names.
    pub fn of_version(version: &str) -> Option<Self> {
        [Self::Sts, Self::Iam].into_iter().find(|service| service.version() == version)
    }

    const fn namespace(self) -> &'static str {
        match self {
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
        }
    }

    /// The document of a success.
    pub fn answer(self, action: &str, result: Option<Xml>, request_id: &str) -> String {
        let xml = match result {
            Some(result) => Xml::new().within(&format!("{action}Result"), result),
            None => Xml::new(),
        };
        xml.within("ResponseMetadata", Xml::new().text("RequestId", request_id))
            .document(&format!("{action}Response"), self.namespace())
    }

    /// The document of a refusal.
    pub fn refusal(self, error: &QueryError, request_id: &str) -> String {
        let kind = if error.status < 500 { "Sender" } else { "Receiver" };
        let told = Xml::new().text("Type", kind).text("Code", &error.code).text("Message", &error.message);
        Xml::new().within("Error", told).text("RequestId", request_id).document("ErrorResponse", self.namespace())
    }
}

/// A refusal in the query protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}{}", detail.as_ref().map_or(String::new(), |detail| format!(" ({detail})")))]
pub struct QueryError {
    /// The code.
    pub code: String,
    /// The words.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
    /// What AWS does not say: where the mistake is, and what to do about it. Told in the log, not to the client.
    pub detail: Option<String>,
}

impl QueryError {
    /// A refusal with its status.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status, detail: None }
    }

    /// A parameter outside of the service model's limits.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// A parameter that has to be there, in the words of AWS.
    pub fn missing(name: &str) -> Self {
        let mut chars = name.chars();
        let first = chars.next().map(|c| c.to_ascii_lowercase()).into_iter();
        let name: String = first.chain(chars).collect();
        Self::validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    }

    /// Something that isn't there.
    pub fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new(404, "NoSuchEntity", message)
    }

    /// What this stand-in doesn't do, though AWS does.
    pub fn not_implemented(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("tagmint localaws does not implement {what}"))
    }
}

impl From<IamError> for QueryError {
    fn from(error: IamError) -> Self {
        Self::new(error.code.http_status(), error.code.as_str(), error.message)
    }
}

impl From<StsError> for QueryError {
    fn from(error: StsError) -> Self {
        Self::new(error.http_status(), error.code.as_str(), error.message)
    }
}

impl From<RandomUnavailable> for QueryError {
    fn from(error: RandomUnavailable) -> Self {
        Self::new(500, "InternalFailure", error.to_string())
    }
}

/// A request's parameters.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a form or a query.
    pub fn parse(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The same with those of another form.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// A parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has to be there.
    pub fn need(&self, name: &str) -> Result<&str, QueryError> {
        self.get(name).ok_or_else(|| QueryError::missing(name))
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, QueryError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            QueryError::new(400, "MalformedInput", format!("the parameter {name} is not a whole number: {text}"))
        })?;
        Ok(Some(number))
    }

    /// A list of texts: `NAME.member.1`, `NAME.member.2`…
    pub fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|index| self.get(&format!("{name}.member.{index}"))).map(str::to_owned).collect()
    }

    /// A list of structures' members: `NAME.member.1.MEMBER`…
    pub fn members(&self, name: &str, member: &str) -> Vec<String> {
        (1..).map_while(|index| self.get(&format!("{name}.member.{index}.{member}"))).map(str::to_owned).collect()
    }

    /// A list of tags: `NAME.member.1.Key` and `….Value`.
    pub fn tags(&self, name: &str) -> Vec<(String, String)> {
        let tag = |index: usize| {
            let key = self.get(&format!("{name}.member.{index}.Key"))?;
            let value = self.get(&format!("{name}.member.{index}.Value")).unwrap_or_default();
            Some((key.to_owned(), value.to_owned()))
        };
        (1..).map_while(tag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_at_the_first_gap() {
        let params =
            Params::parse(b"L.member.1=a&L.member.2=b+c&L.member.4=d&Tags.member.1.Key=k&Tags.member.1.Value=%C3%A4");
        assert_eq!(params.list("L"), ["a", "b c"]);
        assert_eq!(params.tags("Tags"), [("k".to_owned(), "ä".to_owned())]);
        assert_eq!(params.need("RoleName"), Err(QueryError::missing("roleName")));
        assert!(QueryError::missing("RoleName").message.contains("'roleName'"));
    }
}
