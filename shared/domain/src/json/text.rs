//! Blank texts and line separators, by the same rule as in the gateway plugin, the console and the Python verifier.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Whether every character of a text is invisible: a space (White_Space), a control character (Cc) or a format
/// character (Cf), such as U+FEFF, U+200B and U+2060. In JavaScript: `/^[\p{White_Space}\p{Cc}\p{Cf}]*$/u`.
pub fn is_blank(text: &str) -> bool {
    let unseen = |c: char| c.is_whitespace() || c.is_control() || get_general_category(c) == GeneralCategory::Format;
    text.chars().all(unseen)
}

/// JSON text with U+2028 and U+2029 escaped. JSON allows both in strings, but older JavaScript engines end a line
/// there: the Mini Program runtime of an iPhone then returns a string instead of the parsed object.
pub fn without_line_separators(json: String) -> String {
    if json.contains(['\u{2028}', '\u{2029}']) {
        json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    } else {
        json
    }
}
