//! Values of a policy that no subject of the token's kind can have, and what to write instead.

use std::collections::HashSet;

use super::{
    Breadth, Edit, Form, Level, MAX_LEN, Platform,
    automaton::Question,
    breadth,
    edits::{MISSING_END, words},
    read,
    reading::Reading,
};
use crate::pattern;

/// How an operator compares texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spelling {
    /// Whether `*` and `?` are wildcards.
    pub(crate) like: bool,
    /// Whether letters' case does not count.
    pub(crate) fold: bool,
}

/// A value that can never be a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The value.
    pub(crate) value: String,
    /// The reason why it never matches.
    pub(crate) why: String,
    /// The text to write instead.
    pub(crate) corrected: String,
    /// Whether that admits the token.
    pub(crate) admits: bool,
    /// Further advice: a wider value, or how to get a token that fits.
    pub(crate) remark: String,
}

/// How many corrections after each other are tried, and how many texts at most.
const STEPS: usize = 3;
const SURE_STEPS: usize = 2;
const TRIES: usize = 400;
/// How many templates a text shows.
const SHOWN: usize = 4;

impl Spelling {
    fn fits(self, value: &str, subject: &str) -> bool {
        let (value, subject) = if self.fold {
            (value.to_lowercase(), subject.to_lowercase())
        } else {
            (value.to_owned(), subject.to_owned())
        };
        pattern::matches(&read(&value, self.like), &subject)
    }
}

/// Whether no token of the platform can have a subject that fits a value; none where the platform is not known. Says why.
pub(crate) fn never_matches(url: &str, subject: &str, value: &str, spelling: Spelling) -> Option<Flaw> {
    let platform = Platform::of(url, subject)?;
    let found = flaw(url, subject, value, spelling)?;
    let possible = platform.why_impossible(value).is_none()
        && platform.forms.iter().any(|form| platform.admits(form, value, spelling));
    (!possible).then_some(found)
}

/// Why a value of the policy does not fit a token's subject whatever it names: because it has another form. None where the form is the same.
pub(crate) fn flaw(url: &str, subject: &str, value: &str, spelling: Spelling) -> Option<Flaw> {
    let judged = value.chars().count() <= MAX_LEN && !value.contains("${") && !spelling.fits(value, subject);
    let platform = Platform::of(url, subject).filter(|_| judged)?;
    let own = platform.form_of(subject)?;
    let impossible = platform.why_impossible(value);
    let same = platform.forms.iter().filter(|form| form.default == own.default && form.how == own.how);
    // Customized subjects have the same form when they have the same claims.
    let other_claims = || {
        let (given, wanted) = (Platform::keys(own, value), Platform::keys(own, subject));
        let (first, own_first) = (value.split(':').next().unwrap_or_default(), subject.split(':').next());
        let begins_otherwise = !first.contains(['*', '?']) && Some(first) != own_first;
        !own.default && (given.is_some() && given != wanted || begins_otherwise)
    };
    if impossible.is_none() && same.clone().any(|form| platform.admits(form, value, spelling)) && !other_claims() {
        return None;
    }
    let wild = Spelling { like: true, ..spelling };
    if !spelling.like && value.contains(['*', '?']) && same.clone().any(|form| platform.admits(form, value, wild)) {
        return Some(Flaw {
            value: value.to_owned(),
            why: "`*` and `?` are plain characters under this operator, and no subject has them".to_owned(),
            corrected: value.to_owned(),
            admits: wild.fits(value, subject),
            remark: "under StringLike, where they are wildcards".to_owned(),
        });
    }
    let search = Search { platform, own, url, subject, value, spelling };
    let other = platform.forms.iter().find(|form| {
        let meant = form.then.is_empty() || Platform::means_claims(form, own, value);
        impossible.is_none() && meant && platform.admits(form, value, spelling)
    });
    if let Some(other) = other {
        return Some(search.other_template(other));
    }
    Some(search.malformed(impossible))
}

impl Platform {
    /// Whether a text of the form fits a value.
    fn admits(&self, form: &Form, value: &str, spelling: Spelling) -> bool {
        Question::of(self, form).fold(spelling.fold).meets(&read(value, spelling.like))
    }

    /// Whether a value names a claim that only customized subjects have, and so is meant for one.
    fn means_claims(customized: &Form, own: &Form, value: &str) -> bool {
        let of_own = |word: &str| own.start.iter().any(|template| words(template).any(|(_, known)| known == word));
        let claims = customized.start.iter().chain(customized.then).filter_map(|template| template.split(':').next());
        let only_there: Vec<&str> = claims.filter(|claim| !of_own(claim)).collect();
        !own.default || words(value).any(|(_, word)| only_there.contains(&word))
    }

    /// Why no subject has such a value although its form allows it.
    fn why_impossible(&self, value: &str) -> Option<&'static str> {
        (self.impossible)(value)
    }

    /// The forms' templates for people.
    fn forms_shown(&self, form: &Form) -> String {
        let shown: Vec<String> =
            form.start.iter().take(SHOWN).map(|template| format!("`{}`", self.shown(template))).collect();
        match shown.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [many @ .., last] => format!("{} or {last}", many.join(", ")),
        }
    }
}

struct Search<'a> {
    platform: &'static Platform,
    own: &'static Form,
    url: &'a str,
    subject: &'a str,
    value: &'a str,
    spelling: Spelling,
}

struct Found {
    text: String,
    why: Vec<&'static str>,
    admits: bool,
}

impl Search<'_> {
    /// A value of another template than the token's.
    fn other_template(&self, other: &'static Form) -> Flaw {
        let corrected = self
            .carried_over(other)
            .or_else(|| self.corrections().filter(|found| found.admits).map(|found| (found.text, String::new())));
        let (corrected, lost) = corrected.unwrap_or_else(|| (self.own_subject(), String::new()));
        let forms =
            if self.own.then.is_empty() { format!(", {}", self.platform.forms_shown(self.own)) } else { String::new() };
        let why = format!("it has the form of {}, and the token has {}{forms}", other.name, self.own.name);
        let lost = (!lost.is_empty())
            .then(|| format!("a value of this form cannot bind {lost}, so it names the token's own project"));
        let keep = (!other.how.is_empty()).then(|| format!("to keep the policy's value, {}", other.how));
        let remark = match (lost, keep) {
            (Some(lost), Some(keep)) => format!("{lost}. {}", capital(&keep)),
            (lost, keep) => lost.or(keep).unwrap_or_default(),
        };
        Flaw {
            value: self.value.to_owned(),
            why,
            admits: self.spelling.fits(&corrected, self.subject),
            corrected,
            remark,
        }
    }

    /// A value of no template.
    fn malformed(&self, impossible: Option<&'static str>) -> Flaw {
        let found = self.corrections();
        let forms = if self.own.then.is_empty() {
            format!("subjects of {} read {}", self.platform.name, self.platform.forms_shown(self.own))
        } else {
            format!("the token has {}", self.own.name)
        };
        let reasons = impossible.into_iter().chain(found.iter().flat_map(|found| found.why.iter().copied()));
        let mut reasons: Vec<&str> = reasons.collect();
        reasons.dedup();
        let why = if reasons.is_empty() { forms } else { format!("{} ({forms})", reasons.join("; ")) };
        let (corrected, admits) = found.map_or_else(|| (self.own_subject(), true), |found| (found.text, found.admits));
        Flaw { value: self.value.to_owned(), why, remark: self.wider(&corrected), corrected, admits }
    }

    /// For a value that ends too early, the pattern that takes every end.
    fn wider(&self, corrected: &str) -> String {
        let ends_early = corrected.strip_prefix(self.value).and_then(|rest| rest.chars().next());
        let Some(separator) = ends_early.filter(|c| self.spelling.like && [':', '/'].contains(c)) else {
            return String::new();
        };
        if corrected.ends_with('*') {
            return String::new();
        }
        let all = self.platform.words.refs;
        let all = if all.is_empty() { "whatever follows".to_owned() } else { format!("every {all}") };
        format!("{:?} admits {all}", format!("{}{separator}*", self.value))
    }

    /// The best text that corrections lead to: with the fewest steps one that admits the token, otherwise one of the token's form.
    fn corrections(&self) -> Option<Found> {
        let mut seen: HashSet<String> = HashSet::from([self.value.to_owned()]);
        let mut open = vec![(self.value.to_owned(), Vec::new())];
        let mut well_formed = None;
        for step in 0..STEPS {
            let mut next = Vec::new();
            for (text, why) in &open {
                for Edit { text, why: reason } in self.platform.all_edits(text, self.subject, self.spelling.like) {
                    if seen.len() > TRIES || !seen.insert(text.clone()) {
                        continue;
                    }
                    let mut why: Vec<&'static str> = why.clone();
                    if !why.contains(&reason) {
                        why.push(reason);
                    }
                    // A value that lacks its end in the policy must not become a pattern for a whole organization.
                    if why.contains(&MISSING_END) && breadth(self.url, self.subject, &text, true) >= Breadth::Several {
                        continue;
                    }
                    let possible = self.platform.why_impossible(&text).is_none();
                    if possible && self.spelling.fits(&text, self.subject) {
                        return Some(Found { text, why, admits: true });
                    }
                    // After more steps a text that is for another token is a guess.
                    if possible
                        && step < SURE_STEPS
                        && well_formed.is_none()
                        && self.platform.admits(self.own, &text, self.spelling)
                    {
                        well_formed = Some(Found { text: text.clone(), why: why.clone(), admits: false });
                    }
                    next.push((text, why));
                }
            }
            open = next;
        }
        well_formed
    }

    /// The value's segments in the token's template, the token's own where the value has none.
    fn carried_over(&self, other: &Form) -> Option<(String, String)> {
        let wanted = self.platform.read(other, self.value)?;
        let token = self.platform.read(self.own, self.subject)?;
        let lost = lost(&wanted, &token);
        let text = self.platform.render(token.template, |field| {
            let own = token.value(field).unwrap_or_default();
            let given = wanted.value(field).filter(|value| {
                // A pin that the token's template has no place for must not widen the policy.
                lost.is_empty() || field.level != Level::Project || !value.contains('*')
            });
            match given {
                Some(value) => value.to_owned(),
                None if self.spelling.like && field.level == Level::Run => "*".to_owned(),
                None => own.to_owned(),
            }
        });
        Some((text, lost.join(" and ")))
    }

    /// The token's subject, with `*` for what differs from run to run.
    fn own_subject(&self) -> String {
        let Some(token) = self.platform.read(self.own, self.subject).filter(|_| self.spelling.like) else {
            return self.subject.to_owned();
        };
        self.platform.render(token.template, |field| {
            let value = token.value(field).unwrap_or_default();
            if field.level == Level::Run { "*".to_owned() } else { value.to_owned() }
        })
    }
}

/// Segments that the value binds and the token's template does not have.
fn lost(wanted: &Reading, token: &Reading) -> Vec<String> {
    let bound = wanted.values.iter().filter(|(field, value)| {
        let open = value.as_deref().is_none_or(|value| value.chars().all(|c| c == '*'));
        !open && !token.values.iter().any(|(own, _)| own == field)
    });
    let mut names: Vec<String> =
        bound.map(|(field, _)| field.name.split('.').next().unwrap_or_default().to_owned()).collect();
    names.dedup();
    names
}

impl Flaw {
    /// Advice about a value that refuses a token.
    pub(crate) fn fix(&self, subject: &str) -> String {
        let Self { value, why, corrected, remark, .. } = self;
        let write = if corrected == value {
            format!("Put {corrected:?} {remark}")
        } else if remark.is_empty() {
            format!("Write {corrected:?} in the policy")
        } else {
            format!("Write {corrected:?} in the policy. {}", capital(remark))
        };
        let otherwise = if self.admits {
            String::new()
        } else {
            format!(". That does not admit this token either, whose subject is {subject:?}")
        };
        format!("malformed pattern: {value:?} can never match this token's subject: {why}. {write}{otherwise}")
    }

    /// Advice about a value that never takes effect.
    pub(crate) fn warning(&self) -> String {
        let Self { value, why, corrected, .. } = self;
        if corrected == value {
            return format!("{value:?} can never match a subject: {why}. Put it {}", self.remark);
        }
        format!("{value:?} can never match a subject: {why}. Write {corrected:?}, or take it out")
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Used by tests: whether a value has a form of the platform.
#[cfg(test)]
pub(super) fn is_well_formed(platform: &Platform, value: &[pattern::Token]) -> bool {
    platform.forms.iter().any(|form| Question::of(platform, form).meets(value))
}
