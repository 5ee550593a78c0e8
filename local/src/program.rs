//! The name of this program in texts for the operator.

use std::{ffi::OsStr, path::Path};

/// The name under which the package installs it.
const INSTALLED: &str = "miniprogram";
/// Its name in a checkout.
const BUILT: &str = "local";

/// The name that the operator calls this program by, so that a command in a text can be copied.
pub fn name() -> &'static str {
    named(std::env::args_os().next().as_deref())
}

fn named(called: Option<&OsStr>) -> &'static str {
    let name = called.map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == INSTALLED) { INSTALLED } else { BUILT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_program_is_named_as_it_was_called() {
        for (called, expected) in [
            ("/usr/bin/miniprogram", "miniprogram"),
            ("miniprogram", "miniprogram"),
            ("target/debug/local", "local"),
            ("", "local"),
        ] {
            assert_eq!(named(Some(OsStr::new(called))), expected, "{called}");
        }
        assert_eq!(named(None), "local");
    }
}
