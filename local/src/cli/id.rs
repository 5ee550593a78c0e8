//! `local id`: what a Mini Program makes for each request.

use platform::runtime::World;

use super::{Failure, output::say};

/// A new request id: a UUIDv7.
pub(super) fn new(world: &World) -> String {
    let millis = world.now().millis().unsigned_abs();
    uuid::Builder::from_unix_timestamp_millis(millis, &world.bytes()).into_uuid().to_string()
}

/// Prints one.
pub(super) fn print() -> Result<(), Failure> {
    say(new(&World::system()));
    Ok(())
}
