//! The checks of a rule's condition.

use super::{
    Found, WarningId,
    alternatives::{Alternative, Test},
    paths::Path,
    platform::{Platform, Thing, is_ref},
    values,
};

/// Looks at every alternative that takes identities of `platform`; `count` says how many the condition has.
pub(super) fn check(platform: Platform, taken: &[&Alternative<'_>], count: usize, found: &mut Found<'_>) {
    let separated = values::separates_repositories(platform, found.rule);
    for alternative in taken {
        let mut looking = Looking { platform, alternative, several: count > 1, separated, found };
        match platform {
            Platform::Github => {
                looking.repository();
                looking.user();
                looking.pull_request_target();
            }
            Platform::Gitlab => {
                looking.repository();
                looking.user();
                looking.unprotected_ref();
            }
            Platform::Oidc => looking.anything(),
        }
        looking.loose();
    }
}

/// What the tests of an alternative say of a repository or its owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub(super) struct Bound {
    /// The repository, by its id.
    pub(super) repository_id: bool,
    /// The owner, by its id.
    pub(super) owner_id: bool,
    /// The repository, by its name, and where.
    repository_name: Option<&'static str>,
    /// The owner, by its name, and where.
    owner_name: Option<&'static str>,
    /// A reusable workflow.
    workflow: bool,
    /// The enterprise, by its id or its name.
    enterprise_id: bool,
    enterprise_name: bool,
}

/// How much of `OWNER/NAME` a test asks for.
enum Part {
    Owner,
    Whole,
}

impl Bound {
    pub(super) fn by(platform: Platform, alternative: &Alternative<'_>) -> Self {
        let (repository, owner) = (platform.repository(), platform.owner());
        let exact = |name: &str| alternative.attribute(name).any(Test::is_exact);
        let narrowed = |name: &str| alternative.attribute(name).any(Test::narrows);
        let mut bound = Self {
            repository_id: exact(repository.id),
            owner_id: exact(owner.id),
            repository_name: None,
            owner_name: narrowed(owner.name).then_some(owner.name),
            workflow: platform == Platform::Github && narrowed("job_workflow_ref"),
            enterprise_id: platform == Platform::Github && exact("enterprise_id"),
            enterprise_name: platform == Platform::Github && narrowed("enterprise"),
        };
        // The file of the workflow that runs begins with its repository's name.
        let names = [repository.name, if platform == Platform::Github { "workflow_ref" } else { repository.name }];
        for name in names {
            for part in alternative.attribute(name).filter_map(part_of_name) {
                match part {
                    Part::Owner => bound.owner_name = bound.owner_name.or(Some(name)),
                    Part::Whole => bound.repository_name = bound.repository_name.or(Some(name)),
                }
            }
        }
        for test in alternative.tests(&Path::Subject).filter(|test| test.narrows()) {
            bound.by_subject(test);
        }
        bound
    }

    /// A platform's `sub` names the repository; where it has `@` and a number, by ids too.
    fn by_subject(&mut self, test: &Test<'_>) {
        // Whether the text is the whole subject, or how it begins.
        let (texts, whole) = match test {
            Test::OneOf(list) => (list.clone(), true),
            Test::Starts(part) => (vec![part.clone()], false),
            Test::Matches(pattern) => match pattern.whole() {
                Some(exact) => (vec![exact], true),
                None => (vec![pattern.start()], false),
            },
            _ => (Vec::new(), false),
        };
        let all = |holds: &dyn Fn(&str) -> bool| !texts.is_empty() && texts.iter().all(|it| holds(it));
        // A start such as `repo:o@1/r@2` would also take `repo:o@1/r@23:…`, so the id must be seen to end.
        self.repository_id |= all(&|text| has_id(text, ':') || follows(text, "repository_id:", whole));
        self.owner_id |= all(&|text| has_id(text, '/') || follows(text, "repository_owner_id:", whole));
        let owner_alone = matches!(test, Test::Starts(start) if start.ends_with('/'));
        if owner_alone {
            self.owner_name = self.owner_name.or(Some("sub"));
        } else {
            self.repository_name = self.repository_name.or(Some("sub"));
        }
    }

    /// Whether anything ties the job to somebody.
    pub(super) fn anything(self) -> bool {
        self != Self::default()
    }
}

/// Whether `text` has an id as in `@123:`, up to `end`.
fn has_id(text: &str, end: char) -> bool {
    let id = |part: &str| {
        part.split_once(end).is_some_and(|(id, _)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
    };
    text.split('@').skip(1).any(id)
}

/// Whether a number follows `key` in `text`, and ends there: at a `:`, or with a text that is `whole`.
fn follows(text: &str, key: &str, whole: bool) -> bool {
    text.split(key).nth(1).is_some_and(|rest| {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        after.len() < rest.len() && (after.starts_with(':') || (whole && after.is_empty()))
    })
}

fn part_of_name(test: &Test<'_>) -> Option<Part> {
    let owner_alone = |start: &str| start.ends_with('/') && start.matches('/').count() == 1;
    match test {
        test if !test.narrows() => None,
        Test::Starts(start) if owner_alone(start) => Some(Part::Owner),
        Test::Matches(pattern) if owner_alone(&pattern.start()) && pattern.is_start_alone() => Some(Part::Owner),
        _ => Some(Part::Whole),
    }
}

struct Looking<'a, 'f, 'r> {
    platform: Platform,
    alternative: &'a Alternative<'a>,
    /// Whether the condition has other alternatives.
    several: bool,
    /// Whether a tag keeps the repositories apart.
    separated: bool,
    found: &'f mut Found<'r>,
}

impl Looking<'_, '_, '_> {
    fn add(&mut self, id: WarningId, text: &str, fix: String) {
        let lead = if self.several { "one of the alternatives: " } else { "" };
        self.found.add("when", id, format!("{lead}{text}"), fix);
    }

    /// A name, said to be relied on without its id.
    fn name(&mut self, at: &str, thing: Thing) {
        let Thing { noun, id, .. } = thing;
        let at = if at == "sub" { "identity.subject".to_owned() } else { format!("identity.attributes.{at}") };
        let text = format!(
            "`{at}` binds the {noun} by its name, and a name can become somebody else's (rename, transfer, a deleted account)"
        );
        self.add(WarningId::NameWithoutId, &text, bind(id));
    }

    fn repository(&mut self) {
        let bound = Bound::by(self.platform, self.alternative);
        let (repository, owner) = (self.platform.repository(), self.platform.owner());
        if bound.repository_id {
            return;
        }
        if let Some(at) = bound.repository_name {
            return self.name(at, repository);
        }
        if !bound.anything() {
            let text = format!("every job on {} may use this rule", self.platform.name());
            return self.add(WarningId::NothingBound, &text, bind(repository.id));
        }
        if let Some(at) = bound.owner_name.filter(|_| !bound.owner_id) {
            self.name(at, owner);
        } else if bound.enterprise_name && !bound.enterprise_id && !bound.owner_id {
            self.name("enterprise", Thing { noun: "enterprise", name: "enterprise", id: "enterprise_id" });
        }
        if self.separated && (bound.owner_id || bound.owner_name.is_some()) {
            return;
        }
        if bound.workflow {
            let text = "`identity.attributes.job_workflow_ref` binds a reusable workflow, and every repository that may call it gets \
                        the token";
            return self.add(WarningId::WorkflowWithoutRepository, text, bind(repository.id));
        }
        let noun = if bound.owner_id || bound.owner_name.is_some() { owner.noun } else { "enterprise" };
        let text = format!("every {} of the {noun} may use this rule", repository.noun);
        let fix = format!(
            "{}, or give each its own prefix with a tag made of `${{identity.attributes.{}}}`",
            bind(repository.id),
            repository.id
        );
        self.add(WarningId::OwnerWithoutRepository, &text, fix);
    }

    fn user(&mut self) {
        let user = self.platform.user();
        let exact = self.alternative.attribute(user.id).any(Test::is_exact);
        if !exact && self.alternative.attribute(user.name).any(Test::narrows) {
            self.name(user.name, user);
        }
    }

    /// `pull_request_target` runs with the base's ref, environment access and rights, on a stranger's request.
    fn pull_request_target(&mut self) {
        const EVENT: &str = "pull_request_target";
        let said = self.alternative.attribute("event_name").any(|test| match test {
            Test::OneOf(events) => events.iter().any(|event| event == EVENT),
            Test::Matches(pattern) => pattern.text().contains(EVENT),
            _ => false,
        });
        let excluded = self.alternative.all().any(|(path, test)| match path {
            Path::Attribute(name) => match name.as_str() {
                "event_name" => !test.admits(EVENT),
                "ref_type" => !test.admits("branch"),
                "ref" => !test.admits_some_below("refs/heads/"),
                "branch" => *test == Test::Absent,
                "tag" | "pull_request" => *test != Test::Absent,
                "head_ref" | "base_ref" => matches!(test, Test::OneOf(names) if names.iter().all(String::is_empty)),
                _ => false,
            },
            Path::Subject => match test {
                Test::OneOf(texts) => texts.iter().all(|text| text.contains(":ref:refs/tags/")),
                Test::Starts(text) => text.contains(":ref:refs/tags/"),
                _ => false,
            },
            _ => false,
        });
        if !said && !excluded {
            let text = "`pull_request_target` passes too: it has the base's branch and environments, while a stranger's pull request \
                        starts it";
            let fix =
                "bind the events, for example `identity.attributes.event_name in [\"push\", \"workflow_dispatch\"]`";
            self.add(WarningId::PullRequestTarget, text, fix.to_owned());
        }
    }

    /// GitLab: whoever may push to the project can make a branch of any name, unless the name is protected.
    fn unprotected_ref(&mut self) {
        let names_a_ref = self.alternative.all().any(|(path, test)| match path {
            Path::Attribute(name) => is_ref(name) && test.narrows(),
            Path::Subject => match test {
                Test::OneOf(texts) => texts.iter().any(|text| text.contains(":ref:")),
                Test::Starts(text) | Test::Ends(text) | Test::Contains(text) => text.contains(":ref:"),
                Test::Matches(pattern) => pattern.text().contains(":ref:"),
                _ => false,
            },
            _ => false,
        });
        if names_a_ref && !self.protected() {
            let text = "a branch or tag is bound by its name, and where that is not protected every developer of the project can push to it";
            let fix = "add `identity.attributes.ref_protected`";
            self.add(WarningId::UnprotectedRef, text, fix.to_owned());
        }
    }

    fn protected(&self) -> bool {
        self.alternative.attribute("ref_protected").any(|test| *test == Test::OneOf(vec!["true".to_owned()]))
    }

    /// Another issuer's attributes are not known, but something should be asked.
    fn anything(&mut self) {
        let asks = self.alternative.all().any(|(path, test)| match path {
            Path::Subject | Path::Attribute(_) | Path::Attributes => test.narrows(),
            Path::Source | Path::Provider | Path::Value => false,
        });
        if !asks {
            let fix = "bind `identity.subject`, or an attribute that says who it is";
            self.add(WarningId::NothingBound, "every token of the provider may use this rule", fix.to_owned());
        }
    }

    /// Comparisons that take more than they seem to.
    fn loose(&mut self) {
        let alternative = self.alternative;
        for (path, test) in alternative.all() {
            if !self.identifies(path) {
                continue;
            }
            let written = path.written();
            match test {
                Test::Matches(pattern) if !pattern.covers_all() => {
                    let shown = crate::rules::expression::shortened(pattern.text(), 60);
                    let text = format!(
                        "the regular expression `{shown}` for `{written}` finds its pattern anywhere in the text"
                    );
                    self.add(WarningId::LooseRegex, &text, "write `^` at its start and `$` at its end".to_owned());
                }
                Test::Ends(part) | Test::Contains(part) => {
                    let text = format!(
                        "a part of `{written}` (`{part}`) is compared, and others can make a name with that part in it"
                    );
                    self.add(WarningId::LooseText, &text, exactly());
                }
                Test::Starts(start) if !self.is_whole_start(path, start) => {
                    let text =
                        format!("`{written}` may go on after `{start}` with anything, and others can make such a name");
                    let mut fix = exactly();
                    if matches!(path, Path::Attribute(name) if is_ref(name)) {
                        fix.push_str(", or bind `identity.attributes.ref_protected` to protected names");
                    }
                    self.add(WarningId::LooseText, &text, fix);
                }
                _ => {}
            }
        }
    }

    /// Whether who or what a job is depends on this part.
    fn identifies(&self, path: &Path) -> bool {
        let things = [self.platform.repository(), self.platform.owner(), self.platform.user()];
        match path {
            Path::Subject => true,
            // What another issuer's attributes mean is not known.
            Path::Attribute(_) if self.platform == Platform::Oidc => true,
            Path::Attribute(name) => {
                is_ref(name)
                    || things.iter().any(|thing| name == thing.name || name == thing.id)
                    || matches!(
                        name.as_str(),
                        "environment"
                            | "workflow"
                            | "workflow_ref"
                            | "job_workflow_ref"
                            | "enterprise"
                            | "enterprise_id"
                            | "ci_config_ref_uri"
                    )
            }
            _ => false,
        }
    }

    /// Whether a start ends where a part of the name does, and what follows is the owner's to choose.
    fn is_whole_start(&self, path: &Path, start: &str) -> bool {
        match path {
            Path::Attribute(name) if is_ref(name) => {
                matches!(start, "refs/" | "refs/heads/" | "refs/tags/" | "refs/pull/" | "refs/merge-requests/")
                    || (self.protected() && start.ends_with('/'))
            }
            Path::Attribute(name) if matches!(name.as_str(), "repository" | "project_path" | "namespace_path") => {
                start.ends_with('/')
            }
            Path::Attribute(name)
                if matches!(name.as_str(), "workflow_ref" | "job_workflow_ref" | "ci_config_ref_uri") =>
            {
                start.ends_with(['/', '@'])
            }
            Path::Subject => start.ends_with(['/', ':']),
            Path::Attribute(_) if self.platform == Platform::Oidc => start.ends_with(['/', ':']),
            _ => false,
        }
    }
}

fn bind(id: &str) -> String {
    format!("bind the id: `identity.attributes.{id} == \"…\"`")
}

fn exactly() -> String {
    "compare the whole with `==` or `in […]`, or use a regular expression from `^` to `$`".to_owned()
}
