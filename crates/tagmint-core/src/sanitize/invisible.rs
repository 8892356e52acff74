//! Characters that are invisible to a reader.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Code points with the property `Default_Ignorable_Code_Point` (Unicode, DerivedCoreProperties.txt), first and last of each range: a
/// renderer shows nothing for them. Among them are letters (the Hangul fillers), which other checks let through.
const DEFAULT_IGNORABLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Characters whose glyph is blank although they are not spaces: BRAILLE PATTERN BLANK, KHITAN SMALL SCRIPT FILLER, MUSICAL SYMBOL NULL
/// NOTEHEAD, OBJECT REPLACEMENT CHARACTER.
const BLANK: [char; 4] = ['\u{2800}', '\u{16fe4}', '\u{1d159}', '\u{fffc}'];

/// Whether a character shows nothing, changes the direction of what follows, or moves a cursor: control and format characters, every white
/// space but the plain one, default-ignorable and blank characters, and private ones, which each font shows differently.
pub fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control()
        || character.is_whitespace()
        || DEFAULT_IGNORABLE.iter().any(|(first, last)| (*first..=*last).contains(&character))
        || BLANK.contains(&character)
        || matches!(
            character.general_category(),
            GeneralCategory::Format
                | GeneralCategory::PrivateUse
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

/// The first invisible character of a text.
pub fn first_invisible(text: &str) -> Option<char> {
    text.chars().find(|character| is_invisible(*character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found() {
        for character in [
            '\0',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{1680}',
            '\u{17b4}',
            '\u{17b5}',
            '\u{180b}',
            '\u{180e}',
            '\u{2003}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{206a}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffc}',
            '\u{e000}',
            '\u{16fe4}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{f0000}',
        ] {
            assert!(is_invisible(character), "{character:?}");
        }
        for character in [' ', 'a', '~', 'é', 'ß', '日', '한', '٣', '✓', '…', '😀', '\u{1100}', '\u{3163}', '\u{3165}']
        {
            assert!(!is_invisible(character), "{character:?}");
        }
    }
}
