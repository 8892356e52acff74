//! What `init` knows of each kind of trusted issuer: what identifies a repository, good first rules, and tests of them.
//!
//! A kind is one function from answers to a `Setup`, and its entry in [`platform`].

mod ci;
mod github;
mod gitlab;
mod workloads;

use tagmint_core::{environment::Environment, trusted_issuer::IssuerKind};

use super::{Item, RuleText, answers::Answers, document::table};

/// What is asked for a kind.
#[derive(Debug)]
pub struct Platform {
    /// What runs jobs.
    pub repository: Question,
    /// Its id, and the id of what it belongs to.
    pub ids: Option<[Question; 2]>,
    /// The trusted issuer's URL, where each customer has another one and no other answer contains it.
    pub issuer: Option<Question>,
    setup: fn(&Answers) -> Setup,
    /// Whether repository and issuer fit each other, where that can be checked.
    check: Option<Check>,
}

/// Why repository and issuer do not fit each other.
type Check = fn(&str, &str) -> Result<(), String>;

/// A question.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub text: &'static str,
    /// An answer.
    pub example: &'static str,
    /// Where to find it.
    pub hint: &'static str,
    form: Form,
}

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// So many parts with slashes between them, at least; more where the second number says so.
    Path(usize, usize),
    /// Decimal digits.
    Digits,
    /// A UUID; braces around it are taken away.
    Uuid,
    /// Letters, digits and `-_`, beginning so.
    Beginning(&'static str),
    /// The ARN of a role.
    RoleArn,
    /// A URL that begins with `https://`.
    Url,
    /// Anything in one line.
    Line,
}

/// What comes of the answers.
#[derive(Debug)]
pub(super) struct Setup {
    /// The trusted issuer's URL, where it is not the kind's own.
    pub(super) issuer: Option<String>,
    /// A comment about the claims that jobs have to ask for.
    pub(super) note: Option<&'static str>,
    pub(super) rules: Vec<RuleText>,
    pub(super) tests: Vec<TestText>,
    /// What the prefixes of the runs begin with, where each run has its own.
    pub(super) namespaces: Vec<String>,
}

/// A test of the rules.
#[derive(Debug)]
pub(super) struct TestText {
    pub(super) name: String,
    pub(super) sub: String,
    pub(super) claims: Vec<(String, Item)>,
    pub(super) expect: Expect,
}

/// What a test expects.
#[derive(Debug)]
pub(super) enum Expect {
    /// A token by this rule.
    Grant { rule: String, subject: String, tags: Vec<(String, Item)> },
    /// No rule takes the identity.
    NoRule,
}

/// What is asked for a kind.
pub fn platform(kind: IssuerKind) -> &'static Platform {
    match kind.as_str() {
        "github" => &github::GITHUB,
        "gitlab" => &gitlab::GITLAB,
        "buildkite" => &ci::BUILDKITE,
        "circleci" => &ci::CIRCLECI,
        "bitbucket" => &ci::BITBUCKET,
        "terraform" => &workloads::TERRAFORM,
        "kubernetes" => &workloads::KUBERNETES,
        "jenkins" => &workloads::JENKINS,
        "aws" => &workloads::AWS,
        _ => &workloads::OIDC,
    }
}

impl Platform {
    /// Checks the URL of the trusted issuer, where it is asked for.
    pub fn parse_issuer(&self, text: &str, repository: Option<&str>) -> Result<String, String> {
        let url = match &self.issuer {
            Some(question) => question.parse(text)?,
            None => super::answers::issuer(text)?,
        };
        if let (Some(check), Some(repository)) = (self.check, repository) {
            check(repository, &url)?;
        }
        Ok(url)
    }

    /// Rules and tests for the answers.
    pub(super) fn setup(&self, answers: &Answers) -> Setup {
        (self.setup)(answers)
    }
}

impl Question {
    const fn new(text: &'static str, example: &'static str, form: Form) -> Self {
        Self { text, example, hint: "", form }
    }

    const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    /// Checks an answer.
    pub fn parse(&self, text: &str) -> Result<String, String> {
        let name =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.%~".contains(&b));
        let fits = match self.form {
            Form::Path(least, most) => {
                let parts: Vec<&str> = text.split('/').collect();
                (least..=most).contains(&parts.len())
                    && parts.iter().all(|part| name(part) && *part != "." && *part != "..")
            }
            Form::Digits => (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()),
            Form::Uuid => return uuid(text).ok_or_else(|| self.refusal(text)),
            Form::Beginning(start) => {
                text.strip_prefix(start).is_some_and(|rest| name(rest) && !rest.contains(['.', '%']))
            }
            Form::RoleArn => tagmint_iam::arn::RoleArn::parse(text).is_some(),
            Form::Url => super::answers::issuer(text).is_ok(),
            Form::Line => {
                !text.is_empty()
                    && text.len() <= 255
                    && !text.contains(['*', '$'])
                    && !text.chars().any(char::is_control)
            }
        };
        if fits { Ok(text.to_owned()) } else { Err(self.refusal(text)) }
    }

    fn refusal(&self, text: &str) -> String {
        let shown: String = text.chars().take(60).collect();
        let hint = if self.hint.is_empty() { String::new() } else { format!(". {}", self.hint) };
        format!("`{shown}` is not {}, such as `{}`{hint}", self.form.in_words(), self.example)
    }
}

impl Form {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Path(..) => "a name of this form",
            Self::Digits => "an id in decimal digits",
            Self::Uuid => "a UUID",
            Self::Beginning(_) => "an id of this form",
            Self::RoleArn => "the ARN of a role",
            Self::Url => "a URL",
            Self::Line => "a line of text without `*` and `$`",
        }
    }
}

fn uuid(text: &str) -> Option<String> {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text).to_ascii_lowercase();
    let parts: Vec<usize> = bare.split('-').map(str::len).collect();
    let hex = bare.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    (hex && parts == [8, 4, 4, 4, 12]).then_some(bare)
}

/// An id that is another one's.
fn another(id: &str) -> String {
    let mut other = id.to_owned();
    let last = if other.pop() == Some('0') { '1' } else { '0' };
    other.push(last);
    other
}

/// A rule for the repository of the answers.
fn rule(answers: &Answers, name: &str, description: &str, subject: &str) -> RuleText {
    RuleText {
        name: name.to_owned(),
        description: description.to_owned(),
        from: answers.kind.to_string(),
        subject: subject.to_owned(),
        role: super::role_name(answers.environment).to_owned(),
        transitive: vec!["prefix".to_owned()],
        ..RuleText::default()
    }
}

impl RuleText {
    fn matching<const N: usize>(mut self, matches: [(&str, Item); N]) -> Self {
        self.matches.extend(matches.map(|(claim, value)| (claim.to_owned(), value)));
        self
    }

    fn tagged<const N: usize>(mut self, tags: [(&str, &str); N]) -> Self {
        self.tags.extend(tags.map(|(key, value)| (key.to_owned(), value.into())));
        self
    }
}

fn present() -> Item {
    table([("present", true)])
}

fn pairs<T: Into<Item>, const N: usize>(members: [(&str, T); N]) -> Vec<(String, Item)> {
    match table(members) {
        Item::Table(members) => members,
        _ => Vec::new(),
    }
}

/// Claims, of which some are changed or added.
fn with<const N: usize>(claims: &[(String, Item)], changes: [(&str, Item); N]) -> Vec<(String, Item)> {
    let mut claims = claims.to_vec();
    for (name, value) in changes {
        match claims.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => claims.push((name.to_owned(), value)),
        }
    }
    claims
}

fn granted<const N: usize>(
    name: &str,
    sub: &str,
    claims: Vec<(String, Item)>,
    (rule, subject): (&str, String),
    tags: [(&str, &str); N],
) -> TestText {
    let expect = Expect::Grant { rule: rule.to_owned(), subject, tags: pairs(tags) };
    TestText { name: name.to_owned(), sub: sub.to_owned(), claims, expect }
}

fn refused(name: &str, sub: &str, claims: Vec<(String, Item)>) -> TestText {
    TestText { name: name.to_owned(), sub: sub.to_owned(), claims, expect: Expect::NoRule }
}

/// Whether it is prod.
fn is_prod(answers: &Answers) -> bool {
    answers.environment == Environment::Prod
}

/// A name as a part of a prefix: letters, digits and hyphens.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            plain.push(character.to_ascii_lowercase());
        } else if !plain.is_empty() && !plain.ends_with('-') {
            plain.push('-');
        }
    }
    let plain = plain.trim_end_matches('-');
    if plain.is_empty() { "caller".to_owned() } else { plain.chars().take(60).collect() }
}
