//! The query parameters of reads. One that is known is checked, one that is not is ignored.

use std::ops::RangeInclusive;

use lambda_http::{Request, RequestExt};

use crate::http::{ApiError, Code};

/// How many entries a page may have.
const LIMIT: RangeInclusive<usize> = 1..=100;
/// How many it has if nobody says.
const DEFAULT_LIMIT: usize = 20;

/// `limit`: how many entries a page has.
pub fn limit(request: &Request) -> Result<usize, ApiError> {
    Ok(number(request, "limit", &LIMIT)?.unwrap_or(DEFAULT_LIMIT))
}

/// A parameter that may be given once.
pub fn once<'a>(request: &'a Request, name: &'static str) -> Result<Option<&'a str>, ApiError> {
    match request.query_string_parameters_ref().and_then(|all| all.all(name)).as_deref() {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some(value)),
        Some(_) => Err(invalid(name, format!("{name} may be given once"))),
    }
}

/// A whole number that may be given once.
pub fn number(request: &Request, name: &'static str, range: &RangeInclusive<usize>) -> Result<Option<usize>, ApiError> {
    let Some(text) = once(request, name)? else { return Ok(None) };
    // Rust's parser takes a plus sign, which in a query is a space.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse().ok().filter(|number| digits && range.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(invalid(name, format!("{name} must be a whole number from {} to {}", range.start(), range.end()))),
    }
}

/// A parameter that is not as it must be.
pub fn invalid(name: &'static str, detail: String) -> ApiError {
    ApiError::new(Code::ParameterInvalid).with("parameter", name).detail(detail)
}
