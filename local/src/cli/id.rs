//! `local id`: a request id, as a Mini Program makes one for each user intent.

use platform::runtime::Runtime;

use super::{Failure, output::say};

/// A new request id: a UUIDv7.
pub(super) fn new(runtime: &Runtime) -> String {
    let millis = runtime.now().millis().unsigned_abs();
    uuid::Builder::from_unix_timestamp_millis(millis, &runtime.bytes()).into_uuid().to_string()
}

/// Prints a new request id.
pub(super) fn print() -> Result<(), Failure> {
    say(new(&Runtime::system()));
    Ok(())
}
