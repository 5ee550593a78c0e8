//! The signature of a push: SHA-1 over the token and the signed texts, sorted and joined.

use std::fmt::Write;

use sha1::{Digest as _, Sha1};

use domain::ids::DigestKey;

/// The signature of these texts under a token, in lower-case hexadecimal.
pub fn sign(token: &str, signed: &[&str]) -> String {
    let mut parts: Vec<&str> = signed.iter().copied().chain([token]).collect();
    parts.sort_unstable();
    let digest = Sha1::digest(parts.concat());
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether `given` is the signature. `once` is a random key: the keyed digests of both are compared, so the duration of
/// the comparison does not tell a caller how much of a guessed signature is right.
pub fn matches(given: &str, token: &str, signed: &[&str], once: &DigestKey) -> bool {
    once.digest(&[given.as_bytes()]) == once.digest(&[sign(token, signed).as_bytes()])
}
