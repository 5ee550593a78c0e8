//! Support codes: what a user reads to an operator, so that they find the job.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::ids::{RequestId, UserId};

/// Names user and job in one token for the operator.
pub fn support_code(user: UserId, request: RequestId) -> String {
    let bytes: Vec<u8> = [user.to_string(), request.to_string()]
        .iter()
        .filter_map(|id| uuid::Uuid::try_parse(id).ok())
        .flat_map(uuid::Uuid::into_bytes)
        .collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The user and the job that a support code names.
pub fn parse_support_code(text: &str) -> Option<(UserId, RequestId)> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let id = |half: &[u8]| uuid::Uuid::from_slice(half).map(|id| id.as_hyphenated().to_string());
    let (user, request) = bytes.split_at(16);
    Some((id(user).ok()?.parse().ok()?, id(request).ok()?.parse().ok()?))
}
