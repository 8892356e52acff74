//! Texts that fit a pattern of a policy and a form of a platform's subjects.
//!
//! A form is a nondeterministic automaton over characters; a pattern is one, too. Both are walked side by side. A segment may be asked to have
//! only characters that no policy names ([`FRESH`]), or at least one: what then still fits is open to values that the policy does not know.

use super::{Chars, FRESH, Field, Form, Platform, reading::Part};
use crate::pattern::Token;

/// The requirement on a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// Any value.
    Any,
    /// A value that the policy has nothing of.
    Fresh,
    /// A value with a part that the policy does not name.
    Holds,
}

/// Whether a text fits a form and a pattern, with wishes about its segments.
pub(super) struct Question<'a> {
    platform: &'a Platform,
    start: &'a [&'static str],
    then: &'a [&'static str],
    want: &'a dyn Fn(&Field) -> Want,
    must: Option<&'a dyn Fn(&Field) -> bool>,
    fold: bool,
}

#[derive(Debug, Clone, Copy)]
enum Edge {
    Skip,
    Char(char),
    Class(Chars),
    Fresh,
}

#[derive(Debug, Default)]
struct Automaton {
    /// The edges of each state, with the state they lead to, and whether a segment that has to be there begins with it.
    edges: Vec<Vec<(Edge, usize, bool)>>,
}

impl<'a> Question<'a> {
    /// Any text of the form.
    pub(super) fn of(platform: &'a Platform, form: &'a Form) -> Self {
        Self::start(platform, form.start).then(form.then)
    }

    /// Any text of these templates.
    pub(super) fn start(platform: &'a Platform, start: &'a [&'static str]) -> Self {
        Self { platform, start, then: &[], want: &|_| Want::Any, must: None, fold: false }
    }

    fn then(self, then: &'a [&'static str]) -> Self {
        Self { then, ..self }
    }

    /// With a wish for each segment.
    pub(super) fn want(self, want: &'a dyn Fn(&Field) -> Want) -> Self {
        Self { want, ..self }
    }

    /// With a segment of this kind in it.
    pub(super) fn must(self, must: &'a dyn Fn(&Field) -> bool) -> Self {
        Self { must: Some(must), ..self }
    }

    /// Without regard to letters' case.
    pub(super) fn fold(self, fold: bool) -> Self {
        Self { fold, ..self }
    }

    /// Whether there is such a text.
    pub(super) fn meets(&self, pattern: &[Token]) -> bool {
        let (automaton, last) = self.build();
        let width = automaton.edges.len() * 2;
        let mut seen = vec![false; (pattern.len() + 1) * width];
        let mut open = vec![(0, 0, self.must.is_none())];
        while let Some((at, state, done)) = open.pop() {
            let index = at * width + state * 2 + usize::from(done);
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            if at == pattern.len() && state == last && done {
                return true;
            }
            let token = pattern.get(at);
            if token == Some(&Token::Many) {
                open.push((at + 1, state, done));
            }
            for &(edge, to, required) in &automaton.edges[state] {
                let done = done || required;
                match (edge, token) {
                    (Edge::Skip, _) | (_, Some(Token::Many)) => open.push((at, to, done)),
                    (_, Some(Token::One)) => open.push((at + 1, to, done)),
                    (Edge::Char(own), Some(Token::Char(c))) if own == *c || self.fold && same(own, *c) => {
                        open.push((at + 1, to, done));
                    }
                    (Edge::Class(chars), Some(Token::Char(c))) if chars.has(*c) && *c != FRESH => {
                        open.push((at + 1, to, done));
                    }
                    _ => {}
                }
            }
        }
        false
    }

    fn build(&self) -> (Automaton, usize) {
        let mut automaton = Automaton { edges: vec![Vec::new(), Vec::new()] };
        for template in self.start {
            self.template(&mut automaton, template, 0, 1);
        }
        if !self.then.is_empty() {
            let next = automaton.state();
            automaton.edges[1].push((Edge::Char(':'), next, false));
            for template in self.then {
                self.template(&mut automaton, template, next, 1);
            }
        }
        (automaton, 1)
    }

    fn template(&self, automaton: &mut Automaton, template: &'static str, from: usize, to: usize) {
        let mut at = from;
        for part in self.platform.parts(template) {
            match part {
                Part::Literal(text) => {
                    for character in text.chars() {
                        let next = automaton.state();
                        automaton.edges[at].push((Edge::Char(character), next, false));
                        at = next;
                    }
                }
                Part::Field(field) => at = self.field(automaton, field, at),
            }
        }
        automaton.edges[at].push((Edge::Skip, to, false));
    }

    /// One segment, which is never empty.
    fn field(&self, automaton: &mut Automaton, field: &Field, from: usize) -> usize {
        let required = self.must.is_some_and(|must| must(field));
        let (first, rest) = (automaton.state(), automaton.state());
        automaton.edges[from].push((Edge::Skip, first, required));
        let class = Edge::Class(field.chars);
        match (self.want)(field) {
            Want::Any => {
                automaton.edges[first].push((class, rest, false));
                automaton.edges[rest].push((class, rest, false));
            }
            Want::Fresh => {
                automaton.edges[first].push((Edge::Fresh, rest, false));
                automaton.edges[rest].push((Edge::Fresh, rest, false));
            }
            Want::Holds => {
                automaton.edges[first].push((class, first, false));
                automaton.edges[first].push((Edge::Fresh, rest, false));
                automaton.edges[rest].push((class, rest, false));
            }
        }
        rest
    }
}

impl Automaton {
    fn state(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }
}

fn same(left: char, right: char) -> bool {
    left.to_lowercase().eq(right.to_lowercase())
}
