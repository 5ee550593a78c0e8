//! A job's `rev` as its `ETag`.

use http::{HeaderMap, header::IF_NONE_MATCH};

/// The entity tag of a revision. It is strong although `next_poll_ms` changes with time: that field is advice only.
pub(crate) fn of(rev: u64) -> String {
    format!("\"{rev}\"")
}

/// Whether the client has this revision already. `None` without an `If-None-Match` header.
pub(crate) fn known(headers: &HeaderMap, rev: u64) -> Option<bool> {
    let mut values = headers.get_all(IF_NONE_MATCH).iter().peekable();
    values.peek()?;
    let tag = of(rev);
    Some(values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|listed| {
        let listed = listed.trim();
        // A proxy that compresses the response makes the tag weak; for a GET that makes no difference (RFC 9110,
        // 13.1.2).
        listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known_of(values: &[&str]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_NONE_MATCH, value.parse().unwrap());
        }
        known(&headers, 12)
    }

    #[test]
    fn a_client_that_has_the_revision_is_believed() {
        for values in [
            &["\"12\""][..],
            &["W/\"12\""],
            &["*"],
            &["\"1\", \"12\""],
            &["\"1\",W/\"12\" ,\"13\""],
            &["\"1\"", "\"12\""],
        ] {
            assert_eq!(known_of(values), Some(true), "{values:?}");
        }
    }

    #[test]
    fn anything_else_is_another_revision() {
        for values in [&[""][..], &["12"], &["\"1\""], &["\"2\""], &["\"121\""], &["\"12"], &["w/\"12\""], &["\"*\""]] {
            assert_eq!(known_of(values), Some(false), "{values:?}");
        }
        assert_eq!(known_of(&[]), None);
    }
}
