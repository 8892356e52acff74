//! Where two texts differ.

/// Two texts side by side, with a mark for each character that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What is compared, as `StringEquals id.example.com:sub`.
    pub what: String,
    /// What each side is called and what stands there: what is wanted, then what was found.
    pub sides: [Side; 2],
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Its name, as `policy` or `token`.
    pub name: &'static str,
    /// Its text; none when there is nothing.
    pub text: Option<String>,
    /// Which of the text's characters differ from the other side.
    pub differs: Vec<bool>,
}

impl Comparison {
    /// Compares what is wanted with what was found.
    pub(super) fn new(
        what: impl Into<String>,
        wanted: (&'static str, &str),
        found: (&'static str, Option<&str>),
    ) -> Self {
        let (left, right) = match found.1 {
            Some(text) => marks(wanted.1, text),
            None => (Vec::new(), Vec::new()),
        };
        let sides = [
            Side { name: wanted.0, text: Some(wanted.1.to_owned()), differs: left },
            Side { name: found.0, text: found.1.map(str::to_owned), differs: right },
        ];
        Self { what: what.into(), sides }
    }
}

/// Marks what lies between the common beginning and the common end; in two such parts of the same length, what differs alone.
fn marks(left: &str, right: &str) -> (Vec<bool>, Vec<bool>) {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let shorter = left.len().min(right.len());
    let start = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let end = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count().min(shorter - start);
    let within = |text: &[char], other: &[char]| -> Vec<bool> {
        let same_length = text.len() == other.len();
        let middle = start..text.len() - end;
        (0..text.len()).map(|at| middle.contains(&at) && !(same_length && text[at] == other[at])).collect()
    };
    (within(&left, &right), within(&right, &left))
}

/// How alike two texts are: the characters of their common beginning and end, letters' case aside.
pub(super) fn likeness(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) =
        (left.to_lowercase().chars().collect(), right.to_lowercase().chars().collect());
    let start = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let rest = left.len().min(right.len()) - start;
    start + left.iter().rev().zip(right.iter().rev()).take(rest).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, differs: &[bool]) -> String {
        text.chars().zip(differs).map(|(c, differs)| if *differs { '^' } else { c }).collect()
    }

    #[test]
    fn what_differs_is_marked() {
        let cases = [
            ("repo:Acme/app", "repo:acme/app", "repo:^cme/app", "repo:^cme/app"),
            ("https://a/", "https://a", "https://a^", "https://a"),
            ("a-main-z", "a-dev-z", "a-^^^^-z", "a-^^^-z"),
            ("aXbYc", "a1b2c", "a^b^c", "a^b^c"),
            ("aa", "aaa", "aa", "aa^"),
            ("", "x", "", "^"),
        ];
        for (left, right, marked_left, marked_right) in cases {
            let (a, b) = marks(left, right);
            assert_eq!((shown(left, &a).as_str(), shown(right, &b).as_str()), (marked_left, marked_right));
        }
    }

    #[test]
    fn the_nearest_is_the_most_alike() {
        assert!(likeness("repo:a/b:main", "repo:a/b:dev") > likeness("repo:x/y:main", "repo:a/b:dev"));
        assert_eq!(likeness("ABC", "abc"), 3);
    }

    proptest! {
        #[test]
        fn equal_texts_have_no_marks_and_others_have_some(left in "[abé]{0,6}", right in "[abé]{0,6}") {
            let (a, b) = marks(&left, &right);
            prop_assert_eq!(a.len(), left.chars().count());
            prop_assert_eq!(b.len(), right.chars().count());
            prop_assert_eq!(left == right, !a.iter().chain(&b).any(|mark| *mark));
            prop_assert!(likeness(&left, &right) <= left.chars().count().min(right.chars().count()));
        }
    }
}
