//! What an error response contains, and what it withholds.

use super::*;
use std::collections::BTreeSet;

fn body(answer: &Response) -> Value {
    match answer.body() {
        Body::Text(text) => domain::json::kept(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn codes_are_distinct() {
    let texts: BTreeSet<&str> = Code::ALL.iter().map(|code| code.text()).collect();
    assert_eq!(texts.len(), Code::ALL.len());
}

#[test]
fn a_server_error_tells_nothing_of_the_inside() {
    for code in Code::ALL.iter().filter(|code| code.status().is_server_error()) {
        let error =
            ApiError::new(*code).detail("secret").with("secret", "secret").because(std::io::Error::other("secret"));
        assert_eq!(error.inside().as_deref(), Some("secret"));
        assert!(!body(&error.into_response()).to_string().contains("secret"), "{code:?}");
    }
}

#[test]
fn retry_after_is_never_too_early() {
    for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
        let answer = ApiError::new(Code::RateLimited).retry_after(Duration::from_millis(millis)).into_response();
        assert_eq!(answer.headers()["retry-after"], seconds);
    }
}
