//! What a regular expression leaves open.

use regex_syntax::hir::{Class, Hir, HirKind, Look, literal::Extractor};

/// A regular expression, looked into.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    hir: Hir,
    text: String,
}

impl Pattern {
    /// None where it is no regular expression: compiling the rule has refused it then.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hir = regex_syntax::parse(text).ok()?;
        Some(Self { hir, text: text.to_owned() })
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether every match begins where the text does and ends where it ends: `^a|b$` is not, `^(a|b)$` is.
    pub(super) fn covers_all(&self) -> bool {
        self.begins_with_text() && self.hir.properties().look_set_suffix().contains(Look::End)
    }

    fn begins_with_text(&self) -> bool {
        self.hir.properties().look_set_prefix().contains(Look::Start)
    }

    /// Whether only texts that stand in the expression match, as in `^(main|dev)$`.
    pub(super) fn is_a_list(&self) -> bool {
        let texts = Extractor::new().extract(&self.hir);
        self.covers_all() && texts.is_exact() && texts.is_finite() && texts.len() != Some(0)
    }

    /// Whether it asks for any particular text at all; `^.*$` does not.
    pub(super) fn has_text(&self) -> bool {
        any(&self.hir, &|hir| matches!(hir.kind(), HirKind::Literal(_)))
    }

    /// Whether a text that matches can have a slash where the expression has none.
    pub(super) fn leaves_slashes_open(&self) -> bool {
        !self.covers_all()
            || any(&self.hir, &|hir| match hir.kind() {
                HirKind::Class(Class::Unicode(class)) => {
                    class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&'/'))
                }
                HirKind::Class(Class::Bytes(class)) => {
                    class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&b'/'))
                }
                _ => false,
            })
    }

    /// The text that every match begins with; empty where there is none.
    pub(super) fn start(&self) -> String {
        let mut start = String::new();
        if self.begins_with_text() {
            literal_start(&self.hir, &mut start);
        }
        start
    }

    /// The one text that matches, where there is one alone.
    pub(super) fn whole(&self) -> Option<String> {
        let mut text = String::new();
        (self.covers_all() && literal_start(&self.hir, &mut text)).then_some(text)
    }

    /// Whether a match is a fixed start and then anything.
    pub(super) fn is_start_alone(&self) -> bool {
        let start = self.start();
        let literals = std::cell::Cell::new(0_usize);
        any(&self.hir, &|hir| {
            if let HirKind::Literal(literal) = hir.kind() {
                literals.set(literals.get() + literal.0.len());
            }
            false
        });
        !start.is_empty() && literals.get() == start.len()
    }

    /// Whether `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        // It has been compiled before, so the error cannot happen; to be open is the careful side.
        regex::Regex::new(&self.text).map_or(true, |regex| regex.is_match(text))
    }
}

fn any(hir: &Hir, holds: &dyn Fn(&Hir) -> bool) -> bool {
    holds(hir)
        || match hir.kind() {
            HirKind::Repetition(repetition) => any(&repetition.sub, holds),
            HirKind::Capture(capture) => any(&capture.sub, holds),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(|part| any(part, holds)),
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
        }
}

/// Appends what `hir` begins with; true where that is all of it.
fn literal_start(hir: &Hir, start: &mut String) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            start.push_str(&String::from_utf8_lossy(&literal.0));
            true
        }
        HirKind::Capture(capture) => literal_start(&capture.sub, start),
        HirKind::Concat(parts) => parts.iter().all(|part| literal_start(part, start)),
        HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn anchors_count_on_every_way_through() {
        for text in ["^a$", "^(a|b)$", "^a$|^b$", r"\Aa\z", "^(?:a.*)$", "(?i)^a$"] {
            assert!(pattern(text).covers_all(), "{text}");
        }
        for text in ["a", "^a", "a$", "^a|b$", "(?m)^a$", "(^a)?b$", ""] {
            assert!(!pattern(text).covers_all(), "{text}");
        }
    }

    #[test]
    fn a_list_is_only_what_it_names() {
        for text in ["^123$", "^(123|456)$", "^12[34]$"] {
            assert!(pattern(text).is_a_list(), "{text}");
        }
        for text in ["^[0-9]+$", "^.*$", "123", "^1.*$", "^(123|.*)$"] {
            assert!(!pattern(text).is_a_list(), "{text}");
        }
    }

    #[test]
    fn slashes_and_starts() {
        for (text, open, start) in [
            ("^release/[0-9.]+$", false, "release/"),
            ("^release/.*$", true, "release/"),
            ("^[^a]+$", true, ""),
            ("release-[0-9]", true, ""),
            ("^(octo-org/)(a|b)$", false, "octo-org/"),
        ] {
            assert_eq!(pattern(text).leaves_slashes_open(), open, "{text}");
            assert_eq!(pattern(text).start(), start, "{text}");
        }
        assert!(pattern("^octo-org/.*$").is_start_alone());
        assert!(!pattern("^octo-org/app-.*x$").is_start_alone());
        assert!(!pattern("^.*$").has_text());
        assert_eq!(pattern("^repo:1$").whole().as_deref(), Some("repo:1"));
        for text in ["^repo:1.*$", "^repo:1", "^repo:1(:a|8)$", "^(a|b)$"] {
            assert_eq!(pattern(text).whole(), None, "{text}");
        }
    }
}
