//! Wildcards and policy variables, against the plain definition.
//!
//! Parts: the pattern, the text, the request's keys (`KEY=VALUE` a line).

use crate::{pairs, reference, sections};
use tagmint_iam::{
    context::Context,
    pattern::{self, Token},
    template::Template,
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([source, text, keys]) = sections(data) else { return };
    let tokens = pattern::parse(source);
    assert_eq!(pattern::to_text(&tokens), source);
    assert_eq!(pattern::matches(&tokens, text), reference::fits(&tokens, text));
    assert!(pattern::matches(&tokens, source) && pattern::matches(&[Token::Many], text));
    assert!(pattern::matches_ignoring_case(source, source));

    let mut context = Context::new();
    for (key, value) in pairs(keys) {
        context = context.with(&key, value);
    }
    let plain = Template::parse(source, false);
    assert_eq!(plain.resolve(&context).as_ref(), Ok(&tokens), "a document without variables has none");
    let template = Template::parse(source, true);
    assert_eq!(template.source(), source);
    assert!(template.missing_arn_fields() < 6);
    if let Ok(resolved) = template.resolve(&context) {
        assert_eq!(pattern::matches(&resolved, text), reference::fits(&resolved, text));
        let wildcards = |tokens: &[Token]| tokens.iter().filter(|token| !matches!(token, Token::Char(_))).count();
        assert!(wildcards(&resolved) <= wildcards(&tokens), "a request brought a wildcard");
    }
}
