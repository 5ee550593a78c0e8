//! Escapes texts of users and models, so that every character is visible and, as far as Unicode can tell, no two
//! different texts look the same.
//!
//! Characters are escaped that leave no mark, look like a space, change the direction or joining of their neighbours,
//! have no glyph of their own, or are another spelling of the same character. A backslash is doubled, so that no text
//! can imitate an escape. Letters of different scripts that look alike are not escaped.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use unicode_general_category::{GeneralCategory as Category, get_general_category as category};
use unicode_normalization::is_nfc;

/// Maximum number of combining marks on one letter: more would cover its neighbours.
const MARKS_AT_MOST: u32 = 4;

/// A value with the invisible characters in its strings and keys escaped.
pub fn visible_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(visible(text)),
        Value::Array(items) => Value::Array(items.iter().map(visible_value).collect()),
        Value::Object(entries) => {
            let shown = entries.iter().map(|(key, value)| (visible(key), visible_value(value)));
            Value::Object(shown.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A text in quotes, with quotes inside it escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", visible(text).replace('"', "\\\""))
}

/// A text with its invisible characters escaped. Different texts stay different.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let normal = is_nfc(text);
    let (mut before, mut rest) = (Before::Nothing, text);
    while let Some(first) = rest.chars().next() {
        let marks: usize = rest[first.len_utf8()..].chars().take_while(|c| joins(*c)).map(char::len_utf8).sum();
        let (cluster, after) = rest.split_at(first.len_utf8() + marks);
        let spelt_so = normal || is_nfc(cluster);
        for c in cluster.chars() {
            let last = after.is_empty() && marks == 0;
            if (spelt_so || c.is_ascii()) && seen(c, before, last) {
                if c == '\\' {
                    shown.push(c);
                }
                shown.push(c);
                before = before.then(c);
            } else {
                escape(c, &mut shown);
                before = Before::Sign;
            }
        }
        rest = after;
    }
    shown
}

fn escape(c: char, shown: &mut String) {
    let code = u32::from(c);
    let _infallible = if code <= 0xffff { write!(shown, "\\u{code:04x}") } else { write!(shown, "\\u{{{code:x}}}") };
}

/// What precedes a character.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    Space,
    /// A letter, with its number of combining marks.
    Letter(u32),
    /// Anything else, such as an escape.
    Sign,
}

impl Before {
    fn then(self, c: char) -> Self {
        match self {
            Self::Letter(marks) if is_mark(c) => Self::Letter(marks + 1),
            _ if c == ' ' => Self::Space,
            _ if c.is_alphabetic() => Self::Letter(0),
            Self::Nothing | Self::Space | Self::Letter(_) | Self::Sign => Self::Sign,
        }
    }
}

/// Whether a character is visible and unambiguous in its position.
fn seen(c: char, before: Before, last: bool) -> bool {
    match (c, before) {
        // A space is invisible at an end of the text, and two in a row look like one.
        (' ', Before::Nothing | Before::Space) => false,
        (' ', Before::Letter(_) | Before::Sign) => !last,
        _ if hidden(c) || category(c) == Category::SpaceSeparator => false,
        (mark, Before::Letter(marks)) if is_mark(mark) => marks < MARKS_AT_MOST,
        (mark, Before::Nothing | Before::Space | Before::Sign) if is_mark(mark) => false,
        (_, Before::Nothing | Before::Space | Before::Letter(_) | Before::Sign) => true,
    }
}

fn is_mark(c: char) -> bool {
    matches!(category(c), Category::NonspacingMark | Category::SpacingMark | Category::EnclosingMark)
}

/// Whether a character may combine with the previous one: a mark, or the later parts of a Hangul syllable.
fn joins(c: char) -> bool {
    is_mark(c) || matches!(c, '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}')
}

/// Whether a character has no mark of its own, moves its neighbours, or has no agreed glyph: control characters, line
/// ends, direction, joiners, fillers, tags, private and unassigned characters.
pub(crate) fn hidden(c: char) -> bool {
    let dropped = || {
        matches!(
            category(c),
            Category::Control
                | Category::Format
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::PrivateUse
                | Category::Surrogate
                | Category::Unassigned
        )
    };
    // Letters and marks by category, but invisible.
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fffc}' | '\u{1d159}' | '\u{e0100}'..='\u{e01ef}')
        || dropped()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_hides_is_shown_in_values_and_keys() {
        for (text, shown) in [
            ("two coffees, 两杯咖啡, ☕", "two coffees, 两杯咖啡, ☕"),
            ("a\u{202e}b", "a\\u202eb"),
            ("line\r\nend\0", "line\\u000d\\u000aend\\u0000"),
            ("ali\u{200b}ce\u{feff}", "ali\\u200bce\\ufeff"),
            ("\u{2066}x\u{2069}\u{61c}\u{85}\u{2028}", "\\u2066x\\u2069\\u061c\\u0085\\u2028"),
            ("a\u{e0041}\u{3164}", "a\\u{e0041}\\u3164"),
            ("\\u202e", "\\\\u202e"),
            ("<b>&amp;</b>", "<b>&amp;</b>"),
        ] {
            assert_eq!(visible(text), shown);
        }
        let nested = json!({"k\u{202e}": [{"a\n": "b\t"}], "n": 1});
        assert_eq!(visible_value(&nested), json!({"k\\u202e": [{"a\\u000a": "b\\u0009"}], "n": 1}));
    }

    #[test]
    fn no_space_is_taken_for_another_or_for_none() {
        for (text, shown) in [
            ("two coffees", "two coffees"),
            ("a  b", "a \\u0020b"),
            (" a", "\\u0020a"),
            ("a ", "a\\u0020"),
            ("   ", "\\u0020 \\u0020"),
            ("a\u{a0}b", "a\\u00a0b"),
            ("a\u{2009}b\u{3000}c\u{1680}\u{202f}\u{205f}", "a\\u2009b\\u3000c\\u1680\\u202f\\u205f"),
            ("a\u{200b} b", "a\\u200b b"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
        }
    }

    #[test]
    fn marks_stay_on_their_letter_and_one_sign_has_one_spelling() {
        for (text, shown) in [
            ("é ü ệ", "é ü ệ"),
            ("e\u{301}", "e\\u0301"),
            ("a\u{323}\u{307}b", "a\\u0323\\u0307b"),
            ("\u{301}a", "\\u0301a"),
            (" \u{301}a", "\\u0020\\u0301a"),
            ("a \u{301}a", "a \\u0301a"),
            ("5\u{338}00", "5\\u033800"),
            ("a\u{200b}\u{301}", "a\\u200b\\u0301"),
            ("x\u{301}", "x\u{301}"),
            ("क्षि ที่ שָׁ", "क्षि ที่ שָׁ"),
            ("x\u{301}\u{301}\u{301}\u{301}\u{301}", "x\u{301}\u{301}\u{301}\u{301}\\u0301"),
            ("\u{212b}\u{2126}\u{37e}", "\\u212b\\u2126\\u037e"),
            ("한", "한"),
            ("\u{1112}\u{1161}\u{11ab}", "\\u1112\\u1161\\u11ab"),
            ("\u{e000}\u{10ffff}\u{378}", "\\ue000\\u{10ffff}\\u0378"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
        }
    }

    /// Inverts [`visible`]. That it can be inverted shows that no two texts have the same form.
    fn read(shown: &str) -> String {
        let (mut text, mut rest) = (String::new(), shown.chars());
        while let Some(c) = rest.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            if rest.next() == Some('\\') {
                text.push('\\');
                continue;
            }
            let mut ahead = rest.clone();
            let digits: String = if ahead.next() == Some('{') {
                rest.next();
                rest.by_ref().take_while(|c| *c != '}').collect()
            } else {
                rest.by_ref().take(4).collect()
            };
            text.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
        }
        text
    }

    #[test]
    fn the_shown_text_identifies_every_character() {
        // Where marks, spaces, spellings and holes are: not the large blocks of letters that are all alike.
        let blocks =
            [0..0x3200, 0xa640..0xac10, 0xd7b0..0xe010, 0xf900..0x1_0000, 0x1_d100..0x1_d200, 0xe_0000..0xe_0200];
        for c in blocks.into_iter().flatten().filter_map(char::from_u32) {
            for text in [format!("a{c}"), format!("a {c}b")] {
                let shown = visible(&text);
                assert_eq!(read(&shown), text, "{text:?}");
                assert!(is_nfc(&shown), "{text:?}");
                let plain = |c: char| c == ' ' || !(c.is_whitespace() || c.is_control() || hidden(c));
                assert!(shown.chars().all(plain), "{text:?}");
            }
        }
    }
}
