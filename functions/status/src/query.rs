//! The query parameters of this function's reads.

use std::{ops::RangeInclusive, time::Duration};

use domain::{
    access::cursor::{Cursor, Place},
    ids::UserId,
};
use lambda_http::Request;
pub(crate) use platform::http::query::limit;
use platform::http::{ApiError, Code, query};

use crate::StatusKeys;

/// The longest poll of the API, in seconds. A deployment may configure less.
const WAIT: RangeInclusive<usize> = 0..=20;

/// `wait`: how long to hold a poll.
pub(crate) fn wait(request: &Request) -> Result<Duration, ApiError> {
    let seconds = query::number(request, "wait", &WAIT)?.unwrap_or(0);
    Ok(Duration::from_secs(seconds as u64))
}

/// `cursor`: after which entry of this user's list the page begins. `None`: with the first.
pub(crate) fn after<P: Place>(request: &Request, user: UserId, keys: &StatusKeys) -> Result<Option<P>, ApiError> {
    let cursor = query::once(request, "cursor")?.map(|text| Cursor::decode(text, user, keys.cursors.iter()));
    let cursor = cursor.transpose().map_err(|fault| ApiError::new(Code::CursorInvalid).because(fault))?;
    Ok(cursor.map(|cursor| cursor.after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::{Body, RequestExt};
    use platform::http::Code;
    use std::collections::HashMap;

    fn request(name: &str, values: &[&str]) -> Request {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        Request::new(Body::Empty).with_query_string_parameters(HashMap::from([(name.to_owned(), values)]))
    }

    #[test]
    fn wait_is_whole_seconds_up_to_twenty() {
        assert_eq!(wait(&Request::new(Body::Empty)).unwrap(), Duration::ZERO);
        for (text, seconds) in [("0", 0), ("3", 3), ("20", 20)] {
            assert_eq!(wait(&request("wait", &[text])).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for values in
            [&["21"][..], &["-1"], &["+1"], &[" 1"], &["1.5"], &["1s"], &[""], &["99999999999999999999"], &["1", "1"]]
        {
            assert_eq!(wait(&request("wait", values)).unwrap_err().code, Code::ParameterInvalid, "{values:?}");
        }
    }

    #[test]
    fn limit_is_one_to_a_hundred() {
        assert_eq!(limit(&Request::new(Body::Empty)).unwrap(), 20);
        for (text, expected) in [("1", 1), ("100", 100)] {
            assert_eq!(limit(&request("limit", &[text])).unwrap(), expected);
        }
        for text in ["0", "101", "all", ""] {
            assert_eq!(limit(&request("limit", &[text])).unwrap_err().code, Code::ParameterInvalid, "{text}");
        }
    }
}
