//! The page that says what bounds the worker's chain of messages to itself, against the constants that bound it.

use domain::{
    conversation::QUEUED_AT_MOST,
    job::{STEPS_GROWN_AT_MOST, submission::STEPS_AT_MOST},
    limits::Backoff,
};
use integration_tests::mini_gateway::checkout;

use crate::document::Template;

fn page() -> String {
    std::fs::read_to_string(checkout().join("docs/operate/recursion.md")).expect("the page is there")
}

#[test]
fn the_page_tells_the_bounds_that_the_code_has() {
    let page = page();
    let (retry, check, sweep) = (Backoff::RETRY.cap.as_secs(), Backoff::CHECK.cap.as_secs(), Backoff::SWEEP);
    let template = Template::read();
    let parameter = |key: &str| template.at(&format!("/Parameters/MaximumConcurrency/{key}")).to_string();
    for said in [
        format!("{STEPS_AT_MOST} steps submitted, {STEPS_GROWN_AT_MOST} with what agents propose"),
        format!("{QUEUED_AT_MOST} jobs wait in one queue"),
        format!("0 to {retry} s, with jitter"),
        format!("0 to {check} s, with jitter"),
        format!("{} s to one hour apart", sweep.base.as_secs()),
        format!("{} concurrent workers by default, {} at most", parameter("Default"), parameter("MaxValue")),
    ] {
        assert!(page.contains(&said), "{said}");
    }
    assert_eq!(sweep.cap.as_secs(), 3600, "one hour");
}

#[test]
fn each_constant_that_the_page_names_is_in_the_code() {
    let sources = ["shared", "functions"].map(|folder| source(&checkout().join(folder))).concat();
    let page = page();
    let named: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.contains('_') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        .collect();
    assert!(named.len() >= 4, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("const {name}:")), "no source declares {name}");
    }
}

/// Every Rust file below a folder, in one text.
fn source(folder: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all += &source(&path);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            all += &std::fs::read_to_string(&path).expect("it is text");
        }
    }
    all
}
