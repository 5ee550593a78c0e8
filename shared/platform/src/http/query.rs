//! The query parameters of reads. Known parameters are checked, unknown ones are ignored.

use std::ops::RangeInclusive;

use lambda_http::{Request, RequestExt};

use crate::http::{ApiError, Code};

/// Allowed numbers of entries of a page.
const LIMIT: RangeInclusive<usize> = 1..=100;
/// Number of entries of a page without `limit`.
const DEFAULT_LIMIT: usize = 20;

/// The parameter `limit`: number of entries of a page.
pub fn limit(request: &Request) -> Result<usize, ApiError> {
    Ok(number(request, "limit", &LIMIT)?.unwrap_or(DEFAULT_LIMIT))
}

/// The value of a parameter that may occur once.
pub fn once<'a>(request: &'a Request, name: &'static str) -> Result<Option<&'a str>, ApiError> {
    match request.query_string_parameters_ref().and_then(|all| all.all(name)).as_deref() {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some(value)),
        Some(_) => Err(invalid(name, format!("{name} may be given once"))),
    }
}

/// The value of an integer parameter that may occur once.
pub fn number(request: &Request, name: &'static str, range: &RangeInclusive<usize>) -> Result<Option<usize>, ApiError> {
    let Some(text) = once(request, name)? else { return Ok(None) };
    // Rust's parser accepts a plus sign, which in a query is an encoded space.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse().ok().filter(|number| digits && range.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(invalid(name, format!("{name} must be a whole number from {} to {}", range.start(), range.end()))),
    }
}

/// 400 for an invalid parameter.
pub fn invalid(name: &'static str, detail: String) -> ApiError {
    ApiError::new(Code::ParameterInvalid).with("parameter", name).detail(detail)
}
