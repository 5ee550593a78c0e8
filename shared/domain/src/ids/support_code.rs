//! Support codes: a user gives one to an operator, who finds the job by it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::ids::{RequestId, UserId};

/// User id and request id in one token.
pub fn support_code(user: UserId, request: RequestId) -> String {
    let bytes: Vec<u8> = [user.to_string(), request.to_string()]
        .iter()
        .filter_map(|id| uuid::Uuid::try_parse(id).ok())
        .flat_map(uuid::Uuid::into_bytes)
        .collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Parses a support code.
pub fn parse_support_code(text: &str) -> Option<(UserId, RequestId)> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let id = |half: &[u8]| uuid::Uuid::from_slice(half).map(|id| id.as_hyphenated().to_string());
    let (user, request) = bytes.split_at(16);
    Some((id(user).ok()?.parse().ok()?, id(request).ok()?.parse().ok()?))
}
