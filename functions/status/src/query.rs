//! The query parameters of reads. One that is known is checked, one that is not is ignored.

use std::{ops::RangeInclusive, time::Duration};

use lambda_http::{Request, RequestExt};
use shared::http::{ApiError, Code};

/// The longest poll that the contract knows, in seconds. What a deployment holds is configured.
const WAIT: RangeInclusive<usize> = 0..=20;
/// How many jobs a page may have.
const LIMIT: RangeInclusive<usize> = 1..=100;
/// How many it has if nobody says.
const DEFAULT_LIMIT: usize = 20;

/// `wait`: how long to hold a poll.
pub(crate) fn wait(request: &Request) -> Result<Duration, ApiError> {
    let seconds = number("wait", once(request, "wait")?, &WAIT)?.unwrap_or(0);
    Ok(Duration::from_secs(seconds as u64))
}

/// `limit`: how many jobs a page has.
pub(crate) fn limit(request: &Request) -> Result<usize, ApiError> {
    Ok(number("limit", once(request, "limit")?, &LIMIT)?.unwrap_or(DEFAULT_LIMIT))
}

/// A parameter that may be given once.
pub(crate) fn once<'a>(request: &'a Request, name: &'static str) -> Result<Option<&'a str>, ApiError> {
    match request.query_string_parameters_ref().and_then(|all| all.all(name)).as_deref() {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some(value)),
        Some(_) => Err(invalid(name, format!("{name} may be given once"))),
    }
}

fn number(name: &'static str, text: Option<&str>, range: &RangeInclusive<usize>) -> Result<Option<usize>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    // Rust's parser takes a plus sign, which in a query is a space.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse().ok().filter(|number| digits && range.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(invalid(name, format!("{name} must be a whole number from {} to {}", range.start(), range.end()))),
    }
}

fn invalid(name: &'static str, detail: String) -> ApiError {
    ApiError::new(Code::ParameterInvalid).with("parameter", name).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;
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
