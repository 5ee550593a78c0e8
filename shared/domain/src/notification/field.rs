//! The types of the fields of WeChat's message templates, and texts that fit them.
//!
//! Source: the table of `subscribeMessage.send` in WeChat's server documentation. A value that does not fit is refused
//! with errcode 47003, and the message is lost, so each text is cut to what the type takes.

use unicode_general_category::{GeneralCategory as Category, get_general_category as category};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::ids::Timestamp;

/// Maximum length of `thing`. WeChat does not say whether it counts characters or UTF-16 code units; the second is
/// never more permissive.
const THING: usize = 20;
/// Maximum length of `character_string`, `letter` and `number`.
const LONG: usize = 32;
/// Maximum length of `phrase` and `symbol`.
const SHORT: usize = 5;
/// Maximum length of `name` with a Han character, and without one.
const NAME: (usize, usize) = (10, 20);
/// Shows that a text was cut.
const ELLIPSIS: char = '…';
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Type of a field, from its key: the field `thing1` is a `thing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Any characters, at most 20.
    Thing,
    /// A person's name: at most 10 Han characters, or 20 letters.
    Name,
    /// At most five Han characters.
    Phrase,
    /// At most 32 digits, letters and symbols.
    CharacterString,
    /// At most 32 letters.
    Letter,
    /// At most 32 digits.
    Number,
    /// At most five symbols.
    Symbol,
    /// A time of day, with its date.
    Time,
    /// A date, with its time of day.
    Date,
}

impl FieldKind {
    /// The type of the field with this key; `None` for a key of another form, and for the types `amount`,
    /// `phone_number`, `car_number` and `enum`, for which this service knows no value.
    pub fn of_key(key: &str) -> Option<Self> {
        let name = key.trim_end_matches(|sign: char| sign.is_ascii_digit());
        let kind = match name {
            "thing" => Self::Thing,
            "name" => Self::Name,
            "phrase" => Self::Phrase,
            "character_string" => Self::CharacterString,
            "letter" => Self::Letter,
            "number" => Self::Number,
            "symbol" => Self::Symbol,
            "time" => Self::Time,
            "date" => Self::Date,
            _ => return None,
        };
        (name.len() < key.len()).then_some(kind)
    }

    /// A text that the field takes: without control characters, line breaks and what the type excludes, and cut between
    /// characters as a reader sees them. `None` when nothing is left, and for a time.
    pub fn fit(self, text: &str) -> Option<String> {
        let text = in_one_line(text);
        let fitted = match self {
            Self::Thing => cut(&text, THING),
            Self::Name => name(&text),
            Self::Phrase => first(&text, SHORT, is_han),
            Self::CharacterString => first(&text, LONG, |sign| sign.is_ascii_graphic()),
            Self::Letter => first(&text, LONG, |sign| sign.is_ascii_alphabetic()),
            Self::Number => first(&text, LONG, |sign| sign.is_ascii_digit()),
            Self::Symbol => first(&text, SHORT, |sign| sign.is_ascii_punctuation()),
            Self::Time | Self::Date => return None,
        };
        (!fitted.is_empty()).then_some(fitted)
    }

    /// A time in the form of the field: `2026年11月29日 20:05`. `None` for a type that takes no such text.
    pub fn moment(self, at: Timestamp, utc_offset_minutes: i32) -> Option<String> {
        let local = Timestamp::from_millis(at.millis() + i64::from(utc_offset_minutes) * 60_000).to_string();
        let (date, time) = local.split_once('T')?;
        let (day, minute) = (date.splitn(3, '-').collect::<Vec<_>>(), time.get(..5)?);
        let [year, month, day] = day[..] else { return None };
        match self {
            Self::Time | Self::Date | Self::Thing => Some(format!("{year}年{month}月{day}日 {minute}")),
            Self::CharacterString => Some(format!("{date}T{minute}")),
            Self::Name | Self::Phrase | Self::Letter | Self::Number | Self::Symbol => None,
        }
    }
}

/// The text in one line, without characters that leave no mark. An emoji keeps the joiners within it.
fn in_one_line(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match category(sign) {
            Category::Control | Category::LineSeparator | Category::ParagraphSeparator | Category::SpaceSeparator => {
                kept.push(' ');
            }
            Category::Format => {
                let joins = |sign: char| matches!(category(sign), Category::OtherSymbol | Category::ModifierSymbol);
                let emoji = |sign: char| joins(sign) || sign == '\u{fe0f}';
                let within = kept.chars().next_back().is_some_and(emoji) && signs.peek().copied().is_some_and(joins);
                if sign == ZERO_WIDTH_JOINER && within {
                    kept.push(sign);
                }
            }
            Category::Surrogate | Category::PrivateUse | Category::Unassigned => {}
            _ => kept.push(sign),
        }
    }
    kept.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The text, or its beginning with an ellipsis: at most `most` UTF-16 code units, no grapheme cluster in part.
fn cut(text: &str, most: usize) -> String {
    if units(text) <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    // One letter with many marks may be longer than the whole field.
    for cluster in text.graphemes(true).filter(|cluster| units(cluster) < most) {
        if units(&kept) + units(cluster) + ELLIPSIS.len_utf16() > most {
            break;
        }
        kept.push_str(cluster);
    }
    // A cluster may end with a joiner: that of a flag, to which nothing can be joined.
    let kept = kept.trim_end_matches([' ', ZERO_WIDTH_JOINER]);
    if kept.is_empty() { String::new() } else { format!("{kept}{ELLIPSIS}") }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The first characters of a kind.
fn first(text: &str, most: usize, fits: impl Fn(char) -> bool) -> String {
    text.chars().filter(|sign| fits(*sign)).take(most).collect()
}

fn name(text: &str) -> String {
    let most = if text.chars().any(is_han) { NAME.0 } else { NAME.1 };
    let kept = first(text, most, |sign| is_han(sign) || sign.is_ascii_alphabetic() || matches!(sign, ' ' | '·' | '-'));
    kept.trim().to_owned()
}

/// Han characters of the Basic Multilingual Plane: others count as two in UTF-16.
const fn is_han(sign: char) -> bool {
    matches!(sign, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_type() {
        assert_eq!(FieldKind::of_key("thing1"), Some(FieldKind::Thing));
        assert_eq!(FieldKind::of_key("character_string12"), Some(FieldKind::CharacterString));
        for other in ["thing", "1", "", "amount3", "phone_number1", "car_number1", "enum1", "thing1a"] {
            assert_eq!(FieldKind::of_key(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters_as_a_reader_sees_them() {
        let family = "👨\u{200d}👩\u{200d}👧";
        for (text, expected) in [
            ("Append a note", "Append a note"),
            ("一二三四五六七八九十一二三四五六七八九十", "一二三四五六七八九十一二三四五六七八九十"),
            ("一二三四五六七八九十一二三四五六七八九十一", "一二三四五六七八九十一二三四五六七八九…"),
            ("line\nbreak\tand\u{0}null\u{2028}end", "line break and null…"),
            (" \u{200b}\u{202e}right to left\u{202c} ", "right to left"),
            (&format!("{family}{family}{family}"), &format!("{family}{family}…")),
            ("twelve letter 🇨🇳\u{200d}❤\u{fe0f}\u{200d}🔥", "twelve letter 🇨🇳…"),
            (
                "a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}",
                "a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}a\u{301}…",
            ),
        ] {
            assert_eq!(FieldKind::Thing.fit(text).as_deref(), Some(expected), "{text:?}");
        }
        assert_eq!(FieldKind::Thing.fit(" \n\u{200b}"), None);
        assert_eq!(FieldKind::Thing.fit(&format!("a{}", "\u{301}".repeat(40))), None);
    }

    #[test]
    fn each_type_takes_its_own_characters_alone() {
        for (kind, text, expected) in [
            (FieldKind::Phrase, "结果 OK 待核实了吗", Some("结果待核实")),
            (FieldKind::Phrase, "done", None),
            (FieldKind::CharacterString, "018f-ok 😀", Some("018f-ok")),
            (FieldKind::Letter, "a1b2", Some("ab")),
            (FieldKind::Number, "a1b2", Some("12")),
            (FieldKind::Symbol, "a!b?c.d,e;f:", Some("!?.,;")),
            (FieldKind::Name, "欧阳小明和他的一大家子人", Some("欧阳小明和他的一大家")),
            (FieldKind::Name, "Maximilian von Habsburg", Some("Maximilian von Habsb")),
            (FieldKind::Time, "12:00", None),
        ] {
            assert_eq!(kind.fit(text).as_deref(), expected, "{kind:?} {text}");
        }
    }

    #[test]
    fn a_time_is_written_as_wechat_writes_it() {
        let at = Timestamp::from_millis(1_795_953_900_123);
        assert_eq!(at.to_string(), "2026-11-29T12:05:00.123Z");
        assert_eq!(FieldKind::Time.moment(at, 480).as_deref(), Some("2026年11月29日 20:05"));
        assert_eq!(FieldKind::Date.moment(at, -780).as_deref(), Some("2026年11月28日 23:05"));
        assert_eq!(FieldKind::CharacterString.moment(at, 0).as_deref(), Some("2026-11-29T12:05"));
        assert_eq!(FieldKind::Phrase.moment(at, 0), None);
    }
}
