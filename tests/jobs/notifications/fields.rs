//! Every text that a field gets is one that WeChat takes.

use domain::notification::FieldKind;
use proptest::prelude::*;

/// Texts with everything that a title may contain: letters, Han characters, emoji with joiners and skin tones, marks,
/// control characters, line breaks, bidirectional controls.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z0-9 ]{0,6}",
        "[一-龥]{0,6}",
        Just("👨\u{200d}👩\u{200d}👧\u{200d}👦".to_owned()),
        Just("👍🏽".to_owned()),
        Just("🇨🇳".to_owned()),
        Just("❤\u{fe0f}\u{200d}🔥".to_owned()),
        Just("e\u{301}\u{323}".to_owned()),
        "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\u{200b}-\u{200f}\u{202a}-\u{202e}]{0,4}",
        any::<char>().prop_map(String::from),
        "[!-/:-@]{0,4}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

proptest! {
    #[test]
    fn a_thing_is_short_in_one_line_and_cut_between_visible_characters(text in text()) {
        let Some(fitted) = FieldKind::Thing.fit(&text) else { return Ok(()) };
        prop_assert!((1..=20).contains(&units(&fitted)), "{fitted:?}");
        prop_assert!(!fitted.chars().any(char::is_control), "{fitted:?}");
        prop_assert_eq!(fitted.trim(), &fitted);
        // Fitting once more changes nothing: what the start checks is what is sent.
        prop_assert_eq!(FieldKind::Thing.fit(&fitted), Some(fitted.clone()));
        let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
        let whole = fitted.matches(family).count();
        prop_assert_eq!(fitted.matches('👨').count() >= whole, true);
        prop_assert!(!fitted.ends_with('\u{200d}') && !fitted.ends_with("\u{200d}…"), "{fitted:?}");
        // A flag has two letters.
        prop_assert_eq!(fitted.matches('🇨').count() >= fitted.matches("🇨🇳").count(), true);
    }

    #[test]
    fn each_other_type_takes_its_own_characters_up_to_its_length(text in text()) {
        type Fits = fn(char) -> bool;
        let han: Fits = |sign| ('\u{3400}'..='\u{9fff}').contains(&sign);
        for (kind, most, fits) in [
            (FieldKind::Phrase, 5, han),
            (FieldKind::CharacterString, 32, (|sign| sign.is_ascii_graphic()) as Fits),
            (FieldKind::Letter, 32, |sign| sign.is_ascii_alphabetic()),
            (FieldKind::Number, 32, |sign| sign.is_ascii_digit()),
            (FieldKind::Symbol, 5, |sign| sign.is_ascii_punctuation()),
            (FieldKind::Name, 20, |sign| !sign.is_control()),
        ] {
            if let Some(fitted) = kind.fit(&text) {
                prop_assert!((1..=most).contains(&fitted.chars().count()), "{kind:?} {fitted:?}");
                prop_assert!(fitted.chars().all(fits), "{kind:?} {fitted:?}");
            }
        }
    }

    #[test]
    fn a_short_plain_text_is_kept_as_it_is(text in "[a-zA-Z0-9一-龥]{1,20}") {
        prop_assert_eq!(FieldKind::Thing.fit(&text), Some(text));
    }
}
