//! `Retry-After` in responses of other services.

use std::time::Duration;

use http::{HeaderMap, header};

/// Upper limit of the delay. A proxy may send a day; a job that waited so long would pass its `not_after` unstarted.
pub const AT_MOST: Duration = Duration::from_secs(60);

/// The delay, at most [`AT_MOST`]. `None` unless the value is a number of seconds: the services called here send no
/// dates.
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number that is too long for its type is a long wait as well.
    Some(text.parse().map_or(AT_MOST, Duration::from_secs).min(AT_MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_of_seconds_and_a_minute_at_most() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("60", Some(60)),
            ("61", Some(60)),
            ("86400", Some(60)),
            ("18446744073709551616", Some(60)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("Sun, 29 Nov 2026 00:00:00 GMT", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(read(&headers), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(read(&HeaderMap::new()), None);
    }
}
