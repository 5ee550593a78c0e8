//! Divides a text into pieces that WeChat checks.

use unicode_segmentation::UnicodeSegmentation;

/// The longest text of one check, by WeChat's page: 2,500 characters. Counted in UTF-16 code units, of which a character
/// has one or two, because the page does not say what it counts.
pub const PIECE_AT_MOST: usize = 2500;
/// How much of a piece the next one repeats, so that a word at the end of a piece is checked as a whole.
const REPEATED: usize = 100;

/// The pieces of a text, in order; none for a text that is blank. No cluster (a character as its reader sees it) is cut
/// in two, except one that is longer than a piece. Each piece begins with the end of the one before it.
pub fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    if text.trim().is_empty() {
        return pieces;
    }
    let mut start = 0;
    loop {
        let rest = &text[start..];
        let piece = &rest[..fitting(rest.graphemes(true)).unwrap_or_else(|| fitting_characters(rest))];
        // WeChat refuses a request without a text.
        if !piece.trim().is_empty() {
            pieces.push(piece);
        }
        let end = start + piece.len();
        if end == text.len() {
            return pieces;
        }
        let again = end - repeated(piece);
        // Repeating a whole piece would never advance: the loop would not end.
        start = if again > start { again } else { end };
    }
}

/// Bytes of the first parts that fit into one piece; `None` when not even the first one fits.
fn fitting<'a>(parts: impl Iterator<Item = &'a str>) -> Option<usize> {
    let (mut bytes, mut units) = (0, 0);
    for part in parts {
        units += length(part);
        if units > PIECE_AT_MOST {
            break;
        }
        bytes += part.len();
    }
    (bytes > 0).then_some(bytes)
}

/// The same for a cluster that is longer than a piece: it is cut between two of its characters.
fn fitting_characters(text: &str) -> usize {
    let at = text.char_indices().scan(0, |units, (at, sign)| {
        *units += sign.len_utf16();
        Some((at + sign.len_utf8(), *units))
    });
    at.take_while(|(_, units)| *units <= PIECE_AT_MOST).last().map_or(text.len(), |(bytes, _)| bytes)
}

/// Bytes of the clusters at the end of a piece that the next one repeats.
fn repeated(piece: &str) -> usize {
    let clusters = piece.graphemes(true).rev().scan(0, |units, cluster| {
        *units += length(cluster);
        Some((cluster.len(), *units))
    });
    clusters.take_while(|(_, units)| *units <= REPEATED).map(|(bytes, _)| bytes).sum()
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: &str = "👨‍👩‍👧‍👦";

    /// Each piece fits, begins and ends where a cluster does, and the pieces cover the text.
    fn check(text: &str) -> Vec<&str> {
        let all = pieces(text);
        let bounds: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
        let mut covered = 0;
        for piece in &all {
            assert!(!piece.is_empty() && length(piece) <= PIECE_AT_MOST);
            let start = piece.as_ptr().addr() - text.as_ptr().addr();
            let end = start + piece.len();
            assert!(start <= covered && end > covered, "nothing is left out, and each piece adds something");
            assert!(bounds.contains(&start) && bounds.contains(&end), "no cluster is cut");
            covered = end;
        }
        assert_eq!(covered, text.len());
        all
    }

    #[test]
    fn a_text_that_fits_is_one_piece_and_a_blank_one_is_none() {
        for text in ["a", "字", FAMILY, &"字".repeat(PIECE_AT_MOST)] {
            assert_eq!(check(text), [text]);
        }
        for blank in ["", " ", "\n\u{3000}"] {
            assert!(pieces(blank).is_empty());
        }
    }

    #[test]
    fn a_text_of_2501_characters_that_ends_in_an_emoji_is_cut_before_the_emoji() {
        let text = format!("{}👍", "字".repeat(2500));
        assert_eq!(text.chars().count(), 2501);
        let pieces = check(&text);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0], "字".repeat(2500));
        assert!(pieces[1].ends_with("字👍"), "the end of the first piece is repeated");
        // A cluster of several characters across the limit is moved as a whole.
        let text = format!("{}{FAMILY}", "a".repeat(2495));
        let pieces = check(&text);
        assert_eq!((pieces[0].len(), pieces.len()), (2495, 2));
        assert!(pieces[1].ends_with(FAMILY));
    }

    #[test]
    fn a_word_across_a_limit_is_whole_in_one_piece() {
        for before in 2400..2500 {
            let text = format!("{}forbidden{}", "字".repeat(before), "字".repeat(3000));
            assert!(check(&text).iter().any(|piece| piece.contains("forbidden")), "{before}");
        }
    }

    #[test]
    fn a_stretch_of_white_space_that_fills_a_piece_is_not_checked() {
        let pieces = pieces(&format!("a{}b", " ".repeat(3 * PIECE_AT_MOST))).join("|");
        assert!(pieces.starts_with('a') && pieces.ends_with('b') && pieces.split('|').count() == 2, "{pieces}");
    }

    #[test]
    fn a_cluster_longer_than_a_piece_is_cut_and_the_pieces_come_to_an_end() {
        // One cluster: a letter with thousands of marks, and one behind a short text.
        for text in [format!("e{}", "\u{301}".repeat(6000)), format!("ab e{} c", "\u{301}".repeat(2600))] {
            let pieces = pieces(&text);
            assert!((2..=5).contains(&pieces.len()), "{}", pieces.len());
            assert!(pieces.iter().all(|piece| !piece.is_empty() && length(piece) <= PIECE_AT_MOST));
            assert!(text.ends_with(pieces.last().unwrap()));
        }
    }
}
