//! Wildcards: `*` stands for any run of characters, `?` for exactly one (IAM user guide, "IAM JSON policy elements: Resource").

/// One place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// This character.
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any characters, or none.
    Many,
}

/// Reads a text's `*` and `?` as wildcards.
pub fn parse(text: &str) -> Vec<Token> {
    text.chars().map(wild).collect()
}

/// A character as a place of a pattern.
pub(crate) fn wild(character: char) -> Token {
    match character {
        '*' => Token::Many,
        '?' => Token::One,
        other => Token::Char(other),
    }
}

/// The text that a pattern was made from, wildcards as they are written.
pub fn to_text(pattern: &[Token]) -> String {
    pattern
        .iter()
        .map(|token| match token {
            Token::Char(character) => *character,
            Token::One => '?',
            Token::Many => '*',
        })
        .collect()
}

/// Whether the whole text fits the pattern. Time is at most the product of the lengths: a star never has to be tried again after a
/// later one was reached.
pub fn matches(pattern: &[Token], text: &str) -> bool {
    let mut rest = text.chars();
    let mut at = 0;
    // Where to go on from when a guess was wrong: behind the last star, and the text that it hasn't swallowed.
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        if pattern.get(at) == Some(&Token::Many) {
            at += 1;
            retry = Some((at, rest.clone()));
            continue;
        }
        let fits = match (pattern.get(at), rest.next()) {
            (None, None) => return true,
            (Some(Token::One), Some(_)) => true,
            (Some(Token::Char(expected)), Some(actual)) => *expected == actual,
            (_, None) => return false,
            _ => false,
        };
        if fits {
            at += 1;
            continue;
        }
        let Some((after_star, unswallowed)) = &mut retry else { return false };
        if unswallowed.next().is_none() {
            return false;
        }
        at = *after_star;
        rest = unswallowed.clone();
    }
}

/// As [`matches()`], for texts whose letters' case doesn't count (action names).
pub fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&parse(&pattern.to_lowercase()), &text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without any cleverness.
    fn naive(pattern: &[Token], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Token::Many, rest)), _) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            (Some((Token::One, rest)), Some((_, text))) => naive(rest, text),
            (Some((Token::Char(a), rest)), Some((b, text))) => a == b && naive(rest, text),
            _ => false,
        }
    }

    #[test]
    fn examples() {
        let cases = [
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("team/*", "team/", true),
            ("team/*", "team2/x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("?é?", "aéb", true),
            ("**?", "x", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(&parse(pattern), text), expected, "{pattern} {text}");
        }
        assert!(matches_ignoring_case("S3:get*", "s3:GetObject"));
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&parse(&"*a".repeat(200)), &"a".repeat(199)));
        assert!(!matches(&parse(&format!("{}b", "*a".repeat(2000))), &"a".repeat(4000)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let pattern = parse(&pattern);
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(matches(&pattern, &text), naive(&pattern, &chars));
        }

        #[test]
        fn a_text_fits_itself_and_its_pattern_reads_back(text in any::<String>()) {
            let pattern = parse(&text);
            prop_assert!(matches(&pattern, &text));
            prop_assert_eq!(to_text(&pattern), text);
        }
    }
}
