//! Which resources a statement names (IAM user guide, "AWS JSON policy elements: Resource").

use super::Source;
use crate::{arn, context::Context, pattern::Token, policy::ResourceElement};

/// Whether `Resource` or `NotResource` covers a resource. Letters' case counts. An ARN whose variable has no value names nothing; under
/// `NotResource` it therefore excludes nothing.
///
/// In a policy of the caller's own, an ARN with fewer than six fields is completed: "AWS automatically completes the ARN by adding wildcard
/// characters (*) to all missing fields" (IAM user guide, "Amazon Resource Names"; it speaks of identity-based policies alone).
pub(super) fn fits(element: &ResourceElement, resource: &str, context: &Context, source: Source) -> bool {
    let named = element.arns.iter().any(|template| {
        let Ok(mut pattern) = template.resolve(context) else { return false };
        if source == Source::Identity {
            let missing = template.missing_arn_fields();
            pattern.extend([Token::Char(':'), Token::Many].into_iter().cycle().take(2 * missing));
        }
        arn_fits(&pattern, resource)
    });
    named != element.negated
}

/// Whether an ARN fits a pattern. Wildcards work "within the individual segments of an ARN (the parts separated by colons)", but "if the *
/// wildcard is the last character of a resource ARN segment, it can expand to match beyond the colon boundaries". The sixth segment, the
/// resource itself, may hold colons, and there every wildcard takes them.
///
/// Time is the product of the lengths, whatever the pattern.
fn arn_fits(pattern: &[Token], arn: &str) -> bool {
    if pattern == [Token::Many] {
        return true;
    }
    // What stands before the first wildcard fits or does not, without any choice: most resources of a policy are told apart by it.
    let literal = pattern.iter().take_while(|token| matches!(token, Token::Char(_))).count();
    let (literal, pattern) = pattern.split_at(literal);
    let mut rest = arn.chars();
    if !literal.iter().all(|token| rest.next().map(Token::Char) == Some(*token)) {
        return false;
    }
    let text: Vec<char> = rest.collect();
    // Which beginnings of the text, by their length, the pattern fits up to the token at hand.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut colons = literal.iter().filter(|token| **token == Token::Char(':')).count();
    for (index, token) in pattern.iter().enumerate() {
        let in_resource = colons + 1 >= arn::FIELDS;
        let mut next = vec![false; text.len() + 1];
        if *token == Token::Many {
            let is_last = pattern.get(index + 1).is_none_or(|after| *after == Token::Char(':'));
            let mut open = reached[0];
            next[0] = open;
            for (at, character) in text.iter().enumerate() {
                open = reached[at + 1] || (open && (*character != ':' || is_last || in_resource));
                next[at + 1] = open;
            }
        } else {
            for (at, character) in text.iter().enumerate() {
                let fits = match token {
                    Token::Char(expected) => expected == character,
                    _ => *character != ':' || in_resource,
                };
                next[at + 1] = reached[at] && fits;
            }
        }
        colons += usize::from(*token == Token::Char(':'));
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{pattern, template::Template};

    #[test]
    fn wildcards_stay_in_their_segment_but_for_a_star_at_its_end() {
        let object = "arn:aws:s3:::bucket/a:b/c";
        let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/prod";
        let cases = [
            ("*", object, true),
            ("arn:aws:s3:*", object, true),
            ("arn:aws:*", object, true),
            ("arn:aws:s3*", object, true),
            ("arn:aws:s3:*/c", object, false),
            ("arn:aws:s*b/c", object, false),
            ("arn:aws:s3?::bucket/*", object, false),
            ("arn:aws:s3:?:bucket/*", object, false),
            ("arn:aws:s3:*:*:bucket/*", object, true),
            ("arn:*:bucket/*", object, true),
            ("arn:*/c", object, false),
            ("arn:aws:s3:::bucket/*/c", object, true),
            ("arn:aws:s3:::bucket/a?b/c", object, true),
            ("arn:aws:s3:::*c", object, true),
            ("arn:aws:s3:::bucket", object, false),
            ("arn:aws:s3:::bucket/a:b/c", object, true),
            ("arn:aws:S3:::bucket/*", object, false),
            ("arn:aws:dynamodb:*:table/prod", table, true),
            ("arn:aws:dynamodb:eu-*:table/prod", table, true),
            ("arn:aws:dynamodb:*-1:table/prod", table, false),
            ("arn:aws:dynamodb:eu-west-?:*:table/prod", table, true),
        ];
        for (text, arn, expected) in cases {
            assert_eq!(arn_fits(&pattern::parse(text), arn), expected, "{text} {arn}");
        }
    }

    fn named(text: &str, resource: &str, source: Source) -> bool {
        let element = ResourceElement { negated: false, arns: vec![Template::parse(text, true)] };
        fits(&element, resource, &Context::new().with("region", "eu:west"), source)
    }

    #[test]
    fn only_a_policy_of_the_callers_own_has_its_arns_completed() {
        let queue = "arn:aws:sqs:eu-west-1:111122223333:queue";
        let cases = [
            ("arn:aws:sqs", true, false),
            ("arn:aws", true, false),
            ("arn:aws:sqs:eu-west-1", true, false),
            ("arn:aws:sqs:*", true, true),
            ("arn:aws:sns", false, false),
            ("arn:aws:sqs:eu-*-1:111122223333", true, false),
            ("arn:aws:sqs:eu-west-1:111122223333:", false, false),
        ];
        for (text, own, other) in cases {
            assert_eq!(named(text, queue, Source::Identity), own, "{text}");
            for source in [Source::Resource, Source::Session] {
                assert_eq!(named(text, queue, source), other, "{text} {source:?}");
            }
        }
        // A value adds no field: two are completed behind `${region}`.
        assert!(named("arn:aws:sqs:${region}", "arn:aws:sqs:eu:west:1:queue", Source::Identity));
        assert!(!named("arn:aws:sqs:${region}", "arn:aws:sqs:eu:west:queue", Source::Identity));
    }

    #[test]
    fn many_stars_take_no_time() {
        let arn = format!("arn:aws:s3:::{}", "a".repeat(1000));
        assert!(!arn_fits(&pattern::parse(&format!("arn:aws:s3:::{}b", "*a".repeat(1000))), &arn));
    }

    proptest! {
        #[test]
        fn it_names_no_more_than_wildcards_that_take_everything(pattern in "[a:*?]{0,10}", text in "[a:]{0,12}") {
            let pattern = pattern::parse(&pattern);
            prop_assert!(!arn_fits(&pattern, &text) || pattern::matches(&pattern, &text));
        }

        #[test]
        fn in_the_resource_itself_wildcards_take_everything(tail in "[a:*?]{0,8}", text in "[a:]{0,10}") {
            let pattern = pattern::parse(&format!("arn:aws:s3:::{tail}"));
            let arn = format!("arn:aws:s3:::{text}");
            prop_assert_eq!(arn_fits(&pattern, &arn), pattern::matches(&pattern, &arn));
        }
    }
}
