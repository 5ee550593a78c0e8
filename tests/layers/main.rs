//! The layers of the code: which crate may import which, what the domain may depend on, and that no two modules of one
//! crate import each other in a circle.

mod circles;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// From the bottom to the top. A crate may import those of the rows above its own; the functions do not import each
/// other.
const LAYERS: [&[&str]; 7] = [
    &["domain"],
    &["platform"],
    &["store"],
    &["service"],
    &["edge-auth", "worker", "status", "sweep", "operator"],
    &["local"],
    &["integration-tests"],
];

/// Everything that the domain is built with: parsers, policies, digests and signatures. Nothing that opens a
/// connection, reads a clock or runs a task.
const DOMAIN: [&str; 19] = [
    "base64",
    "cedar-policy",
    "hmac",
    "include_dir",
    "jiff",
    "jsonschema",
    "jsonwebtoken",
    "miette",
    "serde",
    "serde_json",
    "serde_json_canonicalizer",
    "sha2",
    "stacker",
    "thiserror",
    "toml",
    "unicode-general-category",
    "unicode-normalization",
    "unicode-segmentation",
    "uuid",
];

/// A crate of the workspace.
struct Member {
    sources: PathBuf,
    dependencies: BTreeSet<String>,
}

fn metadata() -> Value {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        // In the folder of a member, its own package would be the default.
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    serde_json::from_slice(&metadata.stdout).expect("JSON")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn workspace() -> BTreeMap<String, Member> {
    let metadata = metadata();
    let member = |package: &Value| {
        let all = package["dependencies"].as_array().expect("a list").iter();
        let dependencies = all.filter(|one| one["kind"].is_null()).map(|one| text(&one["name"])).collect();
        let manifest = text(&package["manifest_path"]);
        (text(&package["name"]), Member { sources: Path::new(&manifest).with_file_name("src"), dependencies })
    };
    metadata["packages"].as_array().expect("a list").iter().map(member).collect()
}

#[test]
fn crates_import_only_those_of_the_layers_below() {
    let members = workspace();
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    for (name, member) in &members {
        let own = layer(name).unwrap_or_else(|| panic!("{name} has no layer: give it one"));
        for (other, below) in member.dependencies.iter().filter_map(|other| Some((other, layer(other)?))) {
            assert!(below < own, "{name} must not import {other}");
        }
    }
    assert_eq!(members.len(), LAYERS.iter().map(|layer| layer.len()).sum::<usize>());
}

/// A release build links each binary for minutes: `cargo lambda build --release` must not link what is not deployed.
#[test]
fn a_cargo_command_without_a_selection_means_the_functions() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list");
    let name = |id: &Value| text(&packages.iter().find(|package| package["id"] == *id).expect("a member")["name"]);
    let default: Vec<String> =
        metadata["workspace_default_members"].as_array().expect("a list").iter().map(name).collect();
    assert_eq!(default, LAYERS[4]);
}

#[test]
fn the_domain_is_built_with_nothing_new() {
    let expected: BTreeSet<String> = DOMAIN.map(str::to_owned).into();
    assert_eq!(workspace()["domain"].dependencies, expected);
}

#[test]
fn no_modules_of_one_crate_import_each_other_in_a_circle() {
    for (name, member) in workspace() {
        let imports = circles::imports(&member.sources);
        let circles = circles::of(&imports);
        assert!(circles.is_empty(), "{name}: {circles:?} import each other");
    }
}

/// The stages of a submission, in order; `docs/design/decisions/0034-when-the-clock-is-read.md`.
const STAGES: [&str; 10] = [
    "submit",
    "parse",
    "find_stored",
    "decide",
    "refuse",
    "charge",
    "conversation_queue",
    "conversation_cap",
    "admit",
    "record",
];

/// A submission reads the clock once, in `submit`; every stage takes that time. A cache asks for its own age elsewhere.
#[test]
fn a_submission_reads_the_clock_once() {
    let sources = &workspace()["edge-auth"].sources;
    let readings = |stage: &str| {
        let source = std::fs::read_to_string(sources.join(stage).with_extension("rs")).expect("a stage has a file");
        source.matches("runtime.now()").count()
    };
    let stages = STAGES.into_iter();
    let read: Vec<(&str, usize)> =
        stages.map(|stage| (stage, readings(stage))).filter(|(_, count)| *count > 0).collect();
    assert_eq!(read, [("submit", 1)]);
}
