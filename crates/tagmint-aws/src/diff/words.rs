//! What a difference means.

use std::collections::BTreeSet;

use tagmint_iam::policy::Version;

use super::{
    PolicyKind,
    statement::{Names, Normal, listed},
};

type Told = (&'static str, String);

/// Another version of the policy language.
pub(super) fn version(kind: PolicyKind, found: Version) -> Told {
    let id = of_kind(kind, "trust-version", "bucket-policy-version", "role-policy-version");
    let text = match (found, kind) {
        (Version::V2012, _) => "its Version is 2012-10-17 instead of 2008-10-17: `${…}` is a variable in it".to_owned(),
        (Version::V2008, _) => {
            let effect = match kind {
                PolicyKind::Trust => "patterns with such a character do not fit what the configuration gives",
                PolicyKind::Bucket => {
                    "no session reaches its own prefix, and what denies other prefixes denies the own one"
                }
                PolicyKind::Guard => "it denies sessions their own prefix",
            };
            format!(
                "its Version is not 2012-10-17 (it is 2008-10-17 or missing), so `${{…}}` is plain text in it, not a variable: {effect}"
            )
        }
    };
    (id, text)
}

/// A statement that is gone.
pub(super) fn gone(kind: PolicyKind, statement: &Normal) -> Told {
    let name = statement.name();
    let meaning = match (kind, statement.sid.as_deref().unwrap_or_default()) {
        (PolicyKind::Bucket, "TlsAlone") => "requests in clear (plain HTTP) are no longer refused".to_owned(),
        (PolicyKind::Bucket, sid) if sid.starts_with("NothingWithoutTags") => {
            "sessions without the tags are no longer refused".to_owned()
        }
        (_, sid) if sid.starts_with("NoOtherList") => "lists of other prefixes are no longer denied".to_owned(),
        (_, sid) if sid.starts_with("NoOtherAction") => "other actions are no longer denied".to_owned(),
        (PolicyKind::Guard, "NothingElse") => {
            "a broad policy that somebody attaches to the role would open other prefixes and services".to_owned()
        }
        (PolicyKind::Guard, _) => "what it denied is open to a policy that somebody attaches to the role".to_owned(),
        (PolicyKind::Trust, _) => format!("tokens with the subjects {} are refused", subjects(statement)),
        (PolicyKind::Bucket, _) if statement.allows => {
            format!("sessions can no longer do {} on {}", statement.actions.listed(), statement.resources.listed())
        }
        (PolicyKind::Bucket, _) => format!("what it denied is no longer refused: it {}", statement.told()),
    };
    (
        of_kind(kind, "trust-statement", "bucket-policy-statement", "role-policy-statement"),
        format!("{name} is gone: {meaning}"),
    )
}

/// A statement that nobody planned.
pub(super) fn added(kind: PolicyKind, statement: &Normal) -> Told {
    let id = of_kind(kind, "trust-statement", "bucket-policy-statement", "role-policy-statement");
    let told = statement.told();
    let name = statement.sid.as_ref().map_or_else(String::new, |sid| format!(" `{sid}`"));
    let meaning = match kind {
        _ if !statement.allows => "what it denies is refused although the configuration gives it",
        PolicyKind::Trust if statement.principals.names.contains("everybody") => {
            "everybody may open sessions of the role"
        }
        PolicyKind::Trust => "who fulfils it opens sessions of the role, whatever the configuration says",
        PolicyKind::Bucket if statement.principals.names.contains("everybody") => "it is for everybody",
        PolicyKind::Bucket => "allows add up: it undoes what the other statements keep apart",
        PolicyKind::Guard => {
            "the role's own policy is to grant nothing: it undoes the bucket policy where that is loosened"
        }
    };
    (id, format!("a statement{name} was added that {told}: {meaning}"))
}

/// A statement that says something else.
pub(super) fn changed(kind: PolicyKind, wanted: &Normal, found: &Normal, told: &mut Vec<Told>) {
    let before = told.len();
    let name = wanted.name();
    names(kind, "actions", &name, wanted, &wanted.actions, &found.actions, told);
    names(kind, "principals", &name, wanted, &wanted.principals, &found.principals, told);
    names(kind, "resources", &name, wanted, &wanted.resources, &found.resources, told);
    let keys: BTreeSet<&(String, String)> = wanted.conditions.keys().chain(found.conditions.keys()).collect();
    for key in keys {
        let (wanted_values, found_values) = (wanted.conditions.get(key), found.conditions.get(key));
        if wanted_values != found_values {
            let (operator, name_of_key) = (key.0.as_str(), key.1.as_str());
            let change = Change { kind, statement: &name, operator, key: name_of_key, denies: !wanted.allows };
            change.tell(wanted_values, found_values, told);
        }
    }
    debug_assert!(told.len() > before, "a difference was told");
}

fn names(kind: PolicyKind, what: &str, name: &str, of: &Normal, wanted: &Names, found: &Names, told: &mut Vec<Told>) {
    if wanted == found {
        return;
    }
    let id = match what {
        "actions" => of_kind(kind, "trust-action", "bucket-policy-action", "role-policy-action"),
        "principals" => of_kind(kind, "trust-principal", "bucket-policy-principal", "role-policy-principal"),
        _ => of_kind(kind, "trust-resource", "bucket-policy-resource", "role-policy-resource"),
    };
    if wanted.negated != found.negated {
        told.push((id, format!("{name} is about {} instead of {}", found.listed(), wanted.listed())));
        return;
    }
    for item in found.names.difference(&wanted.names) {
        let verb = if of.allows == wanted.negated { "no longer" } else { "also" };
        let text = match (kind, what) {
            (PolicyKind::Trust, "actions") => format!("{name} {verb} allows {item}"),
            (PolicyKind::Trust, "principals") => {
                format!("the trust policy also trusts {item}: who comes from there and fulfils {name} opens sessions")
            }
            (_, "principals") if is_deleted(item) => format!(
                "{name} names {item}, a role that was deleted: the role that has its name today is not meant; set the bucket policy again"
            ),
            (_, "principals") => format!("{name} is also for {item}"),
            _ if of.allows => format!("{name} {verb} allows {}{item}", if what == "actions" { "" } else { "it on " }),
            _ => format!("{name} {verb} denies {}{item}", if what == "actions" { "" } else { "it on " }),
        };
        told.push((id, text));
    }
    for item in wanted.names.difference(&found.names) {
        let text = match (kind, what, item.as_str()) {
            (PolicyKind::Trust, _, "sts:TagSession") => {
                format!("{name} no longer allows sts:TagSession: every token with tags is refused")
            }
            (PolicyKind::Trust, _, "sts:SetSourceIdentity") => {
                format!("{name} no longer allows sts:SetSourceIdentity: every token with a source identity is refused")
            }
            (PolicyKind::Trust, "principals", _) => format!("{name} no longer trusts {item}: its tokens are refused"),
            (_, "principals", _) => format!("{name} is no longer for {item}"),
            _ if wanted.negated => format!("{name} now {} {item}", if of.allows { "allows" } else { "denies" }),
            _ => format!("{name} no longer {} {item}", if of.allows { "allows" } else { "denies" }),
        };
        told.push((id, text));
    }
}

/// S3 keeps roles by their unique id once they are deleted.
fn is_deleted(principal: &str) -> bool {
    principal.starts_with("AROA")
}

/// A condition that differs.
struct Change<'a> {
    kind: PolicyKind,
    statement: &'a str,
    operator: &'a str,
    key: &'a str,
    denies: bool,
}

impl Change<'_> {
    fn tell(&self, wanted: Option<&BTreeSet<String>>, found: Option<&BTreeSet<String>>, told: &mut Vec<Told>) {
        let id = self.id();
        match (wanted, found) {
            (Some(wanted), None) => told.push((id, self.dropped(wanted))),
            (None, Some(found)) => told.push((id, self.further(found))),
            (Some(wanted), Some(found)) => {
                for value in found.difference(wanted) {
                    told.push((id, self.value(value, true)));
                }
                for value in wanted.difference(found) {
                    told.push((id, self.value(value, false)));
                }
            }
            (None, None) => {}
        }
    }

    fn id(&self) -> &'static str {
        let PolicyKind::Trust = self.kind else {
            return of_kind(self.kind, "", "bucket-policy-condition", "role-policy-condition");
        };
        match self.key {
            key if key.ends_with(":aud") => "trust-audience",
            key if key.ends_with(":sub") => "trust-subject",
            key if self.tag().is_some() || key == "aws:tagkeys" => "trust-tag",
            "sts:roleauthorizedbyidp" => "trust-roles-claim",
            _ => "trust-condition",
        }
    }

    fn tag(&self) -> Option<&str> {
        self.key.strip_prefix("aws:requesttag/")
    }

    fn negated(&self) -> bool {
        self.operator.contains("Not")
    }

    /// The condition is gone.
    fn dropped(&self, values: &BTreeSet<String>) -> String {
        let statement = self.statement;
        if self.kind == PolicyKind::Trust {
            match self.key {
                key if key.ends_with(":aud") => {
                    return format!(
                        "{statement} no longer asks for the audience: every audience of the provider is accepted"
                    );
                }
                key if key.ends_with(":sub") => {
                    return format!(
                        "{statement} no longer asks for the subject: tokens of every rule of the issuer are let in"
                    );
                }
                "aws:tagkeys" => {
                    return format!(
                        "{statement} no longer refuses further tags: a token may bring tags that open other prefixes"
                    );
                }
                "sts:roleauthorizedbyidp" => {
                    return format!(
                        "{statement} no longer asks that the token names the role: tokens for no role in particular are let in"
                    );
                }
                _ => {}
            }
            if let Some(tag) = self.tag() {
                return match self.operator {
                    "Null" => format!("the tag {tag} is no longer required by {statement}"),
                    _ if self.negated() => {
                        format!("{statement} no longer refuses values of the tag {tag} like {}", listed(values))
                    }
                    _ => format!("{statement} no longer looks at the value of the tag {tag}: any prefix is accepted"),
                };
            }
        }
        let effect = if self.denies { "it denies more than it should" } else { "it allows more than it should" };
        format!("{statement} has lost its condition {} {} {}: {effect}", self.operator, self.key, listed(values))
    }

    /// A condition that nobody planned.
    fn further(&self, values: &BTreeSet<String>) -> String {
        let effect = match (self.kind, self.denies) {
            (PolicyKind::Trust, _) => "tokens that the configuration gives may be refused",
            (_, true) => "it denies less than it should",
            (_, false) => "it allows less than it should",
        };
        format!(
            "{} has a further condition, {} {} {}: {effect}",
            self.statement,
            self.operator,
            self.key,
            listed(values)
        )
    }

    /// A value more or less.
    fn value(&self, value: &str, more: bool) -> String {
        let statement = self.statement;
        // One value more under a negated operator is one fewer that fits.
        let accepts = more != self.negated();
        if self.kind == PolicyKind::Trust {
            let verb = if accepts { "also accepts" } else { "no longer accepts" };
            match self.key {
                key if key.ends_with(":aud") => {
                    return format!("the trust policy {verb} the audience {value} ({statement})");
                }
                key if key.ends_with(":sub") => {
                    return format!("the trust policy {verb} subjects like {value} ({statement})");
                }
                "aws:tagkeys" => return format!("the trust policy {verb} the tag {value} ({statement})"),
                _ => {}
            }
            if let Some(tag) = self.tag() {
                if self.operator == "Null" {
                    return match (value, more) {
                        ("true", true) => format!("{statement} takes tokens without the tag {tag} alone"),
                        _ => format!("the tag {tag} is no longer required by {statement}"),
                    };
                }
                return format!("the trust policy {verb} values of the tag {tag} like {value} ({statement})");
            }
        }
        let verb = if accepts { "also fits" } else { "no longer fits" };
        let effect = match (accepts, self.denies) {
            (true, false) | (false, true) => "more is open",
            (true, true) | (false, false) => "less is open",
        };
        format!("the condition {} {} of {statement} {verb} {value}: {effect}", self.operator, self.key)
    }
}

fn subjects(statement: &Normal) -> String {
    let subjects = statement.conditions.iter().filter(|((_, key), _)| key.ends_with(":sub"));
    listed(subjects.flat_map(|(_, values)| values))
}

const fn of_kind(kind: PolicyKind, trust: &'static str, bucket: &'static str, guard: &'static str) -> &'static str {
    match kind {
        PolicyKind::Trust => trust,
        PolicyKind::Bucket => bucket,
        PolicyKind::Guard => guard,
    }
}
