//! How much a pattern of a subject lets in.

use super::{
    Field, Form, Level, MAX_LEN, Platform,
    automaton::{Question, Want},
    read,
};
use crate::pattern::{self, Token};

/// How much a pattern lets in, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Breadth {
    /// Less than one project.
    Narrow,
    /// One project with all its branches, tags, environments and pull requests.
    AnyRef,
    /// Several projects of a tenant.
    Several,
    /// Tokens of strangers, or every token of the issuer.
    All,
}

/// Judges a value of a condition on the subject. `like` says whether wildcards are wildcards, `subject` is the token's.
pub(crate) fn breadth(url: &str, subject: &str, value: &str, like: bool) -> Breadth {
    let platform = Platform::of(url, subject).filter(|_| value.chars().count() <= MAX_LEN);
    let Some(platform) = platform else { return if like { unknown(value) } else { Breadth::Narrow } };
    let pattern = read(value, like);
    let scope = Scope { platform, shared: platform.is_shared(url), pattern: &pattern };
    let forms: Vec<&Form> = platform.forms.iter().collect();
    let judged = scope.judge(&forms);
    if judged > Breadth::Narrow {
        return judged;
    }
    let own = platform.form_of(subject).is_some_and(|form| scope.takes_any_ref(form));
    if own { Breadth::AnyRef } else { Breadth::Narrow }
}

/// Judges a value of a condition on another claim than the subject; none where the claim binds no project or tenant.
pub(crate) fn breadth_of_claim(url: &str, subject: &str, claim: &str, value: &str, like: bool) -> Option<Breadth> {
    let platform = Platform::of(url, subject)?;
    let (_, template) = platform.claims.iter().find(|(name, _)| name.eq_ignore_ascii_case(claim))?;
    let pattern = read(value, like);
    if pattern.len() > MAX_LEN {
        return None;
    }
    let start = [*template];
    let form = OneTemplate(&start);
    let scope = Scope { platform, shared: platform.is_shared(url), pattern: &pattern };
    Some(scope.judge_claim(&form))
}

impl Platform {
    /// Claims that bind as the subject does.
    pub(crate) fn binding_claims(&self) -> impl Iterator<Item = &'static str> {
        self.claims.iter().map(|(name, _)| *name)
    }

    /// Claims that bind a project within a tenant that another condition binds.
    pub(crate) const fn project_claims(&self) -> &'static [&'static str] {
        self.projects
    }

    /// Claims that say which runs of a project are meant.
    pub(crate) const fn ref_claims(&self) -> &'static [&'static str] {
        self.refs
    }
}

struct OneTemplate<'a>(&'a [&'static str]);

struct Scope<'a> {
    platform: &'a Platform,
    shared: bool,
    pattern: &'a [Token],
}

impl Scope<'_> {
    fn meets(&self, question: &Question<'_>) -> bool {
        question.meets(self.pattern)
    }

    fn judge(&self, forms: &[&Form]) -> Breadth {
        let stranger = |form: &&Form| {
            let of_form = Question::of(self.platform, form);
            if self.shared {
                return self.meets(&of_form.want(&strangers));
            }
            // An issuer of one tenant: nothing is bound when every subject that it can have passes.
            form.default
                && form.start.iter().all(|template| {
                    self.meets(&Question::start(self.platform, std::slice::from_ref(template)).want(&unbound))
                })
        };
        let defaults: Vec<&Form> = forms.iter().copied().filter(|form| form.default).collect();
        let by_default = defaults.iter().any(|form| self.meets(&Question::of(self.platform, form)));
        // Customized forms count where the pattern is for one; in a pattern for the default form they only let strangers in.
        let meant = if by_default { &defaults[..] } else { forms };
        let all = if self.shared { meant.iter().any(stranger) } else { defaults.iter().all(stranger) };
        if all {
            return Breadth::All;
        }
        if self.shared && forms.iter().any(stranger) {
            return Breadth::Several;
        }
        if !self.shared && meant.iter().any(|form| self.names_project(form)) {
            return Breadth::Narrow;
        }
        let several = meant.iter().any(|form| {
            self.meets(&Question::of(self.platform, form).want(&open_tenant).must(&is_tenant))
                || self.meets(&Question::of(self.platform, form).want(&open_project))
        });
        if several { Breadth::Several } else { Breadth::Narrow }
    }

    /// Whether a value is written along a form and has a project in its place. Within one tenant that is enough: a `*` before it could also
    /// swallow the separators, but only for one who names a branch after the rest of the pattern.
    fn names_project(&self, form: &Form) -> bool {
        let reading = self.platform.read(form, &pattern::to_text(self.pattern));
        reading.is_some_and(|reading| {
            reading.values.iter().any(|(field, value)| {
                field.level == Level::Project && value.as_deref().is_some_and(|value| !value.contains(['*', '?']))
            })
        })
    }

    fn judge_claim(&self, form: &OneTemplate<'_>) -> Breadth {
        let question = || Question::start(self.platform, form.0);
        let everything = if self.shared { question().want(&strangers) } else { question().want(&unbound) };
        if self.meets(&everything) {
            return Breadth::All;
        }
        let tenant_open = self.meets(&question().want(&open_tenant).must(&is_tenant));
        if tenant_open || self.meets(&question().want(&open_project)) { Breadth::Several } else { Breadth::Narrow }
    }

    /// Whether a pattern takes whatever the form has for a ref, in each of its templates.
    fn takes_any_ref(&self, form: &Form) -> bool {
        let mut has_ref = false;
        let all = form.start.iter().all(|template| {
            let start = std::slice::from_ref(template);
            let with_ref = self.platform.parts(template).iter().any(part_is_ref);
            has_ref |= with_ref;
            self.meets(&Question::start(self.platform, start).want(&any_ref))
        });
        all && has_ref
    }
}

fn part_is_ref(part: &super::reading::Part) -> bool {
    matches!(part, super::reading::Part::Field(field) if field.level == Level::Ref)
}

/// A stranger chooses the names in his own tenant, but neither its name nor ids.
fn strangers(field: &Field) -> Want {
    if field.level == Level::Tenant || field.unique { Want::Fresh } else { Want::Any }
}

fn unbound(field: &Field) -> Want {
    let binds = matches!(field.level, Level::Tenant | Level::Project | Level::Ref) || field.unique;
    if binds { Want::Fresh } else { Want::Any }
}

/// Several tenants: part of the name is open, and no id binds.
fn open_tenant(field: &Field) -> Want {
    if field.level == Level::Tenant || field.unique { Want::Holds } else { Want::Any }
}

fn open_project(field: &Field) -> Want {
    if field.level == Level::Project { Want::Holds } else { Want::Any }
}

fn any_ref(field: &Field) -> Want {
    if field.level == Level::Ref { Want::Fresh } else { Want::Any }
}

const fn is_tenant(field: &Field) -> bool {
    matches!(field.level, Level::Tenant)
}

/// A value at an issuer whose subjects are not known: what stands before the first separator is taken for the kind of subject. A pattern that
/// leaves it open and names a whole part behind it admits several subjects; `w*` names no part.
fn unknown(value: &str) -> Breadth {
    let wild = |text: &str| text.contains(['*', '?']);
    let mut parts = value.split([':', '/', '|', '#']);
    if parts.next().is_some_and(|first| !wild(first)) {
        return Breadth::Narrow;
    }
    let named = value.split([':', '/', '|', '#', '@']).any(|part| !part.is_empty() && !wild(part));
    if named { Breadth::Several } else { Breadth::All }
}
