//! The table of invariants in `ARCHITECTURE.md` against the code: every file, item and test that it names is there.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use integration_tests::mini_gateway::checkout;

/// Where code and tests lie.
const ROOTS: [&str; 6] = ["functions", "shared", "local", "openclaw-plugin", "tests", "policy"];

/// One row: where the invariant holds, and what tests it.
struct Row {
    number: String,
    holds: String,
    tests: String,
}

fn rows(text: &str) -> Vec<Row> {
    let table = text.split("## Invariants").nth(1).expect("there is a section of invariants");
    let table = table.split("\n## ").next().unwrap_or_default();
    table
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, number, _, holds, tests, _] = cells[..] else { return None };
            number.parse::<u32>().ok()?;
            Some(Row { number: number.to_owned(), holds: holds.to_owned(), tests: tests.to_owned() })
        })
        .collect()
}

/// The texts in backquotes, in order.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether it names a file, and not something in one.
fn is_file(text: &str) -> bool {
    [".rs", ".js", ".mjs", ".py"].iter().any(|end| text.ends_with(end))
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "node_modules" && name != "target" {
            files_below(&path, found);
        } else if is_file(&name.to_string_lossy()) {
            found.push(path);
        }
    }
}

/// The files that a short path may mean: `worker/call.rs` is `functions/worker/src/call.rs`.
fn meant<'a>(files: &'a [PathBuf], short: &str) -> Vec<&'a PathBuf> {
    let without_src = |path: &Path| {
        path.iter().filter(|part| *part != "src").map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    files.iter().filter(|file| format!("/{}", without_src(file)).ends_with(&format!("/{short}"))).collect()
}

/// Whether a file defines an item or a test of this name.
fn defines(text: &str, name: &str) -> bool {
    let is_part_of_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let whole = !before.ends_with(is_part_of_a_name) && !after.starts_with(is_part_of_a_name);
        let keyword = before.trim_end().rsplit(|letter: char| !is_part_of_a_name(letter)).next().unwrap_or_default();
        let keywords = ["fn", "const", "static", "struct", "enum", "trait", "type", "function", "class", "async"];
        let is_method = before.trim_end_matches(' ').ends_with('\n') && after.starts_with('(');
        whole && (keywords.contains(&keyword) || is_method || before.ends_with("impl fmt::Debug for "))
    })
}

/// What a cell names and is not there.
fn missing(files: &[PathBuf], cell: &str, of_tests: bool) -> BTreeSet<String> {
    let (mut missing, mut at) = (BTreeSet::new(), Vec::new());
    for text in quoted(cell) {
        if is_file(text) {
            at = meant(files, text);
            at.retain(|file| of_tests == file.components().any(|part| part.as_os_str() == "tests"));
            if at.is_empty() {
                missing.insert(text.to_owned());
            }
        } else if text.contains(['=', ' ', '/']) {
            missing.insert(format!("{text}: neither a file nor a name"));
        } else {
            let name = text.rsplit("::").next().unwrap_or(text);
            let found = at.iter().any(|file| defines(&std::fs::read_to_string(file).unwrap_or_default(), name));
            if !found {
                let of: Vec<String> = at.iter().map(|file| file.display().to_string()).collect();
                missing.insert(format!("{text} in {of:?}"));
            }
        }
    }
    missing
}

#[test]
fn every_file_function_and_test_in_the_table_of_invariants_is_there() {
    let text = std::fs::read_to_string(checkout().join("ARCHITECTURE.md")).unwrap();
    let mut files = Vec::new();
    for root in ROOTS {
        files_below(&checkout().join(root), &mut files);
    }
    let rows = rows(&text);
    assert_eq!(rows.len(), 13, "one row for each invariant");
    let mut faults = Vec::new();
    for row in rows {
        // Text in parentheses explains, and names events and states.
        for (cell, of_tests) in [(row.holds, false), (row.tests, true)] {
            assert!(quoted(&cell).first().is_some_and(|first| is_file(first)), "{}: a name needs a file", row.number);
            let cell: String =
                cell.split('(').map(|part| part.split_once(')').map_or(part, |(_, rest)| rest)).collect();
            faults.extend(missing(&files, &cell, of_tests).into_iter().map(|fault| format!("{}: {fault}", row.number)));
        }
    }
    assert!(faults.is_empty(), "not there: {faults:#?}");
}

#[test]
fn every_rust_test_that_the_page_of_broken_invariants_names_is_there() {
    let page = std::fs::read_to_string(checkout().join("docs/design/invariants.md")).unwrap();
    let mut files = Vec::new();
    for root in ROOTS {
        files_below(&checkout().join(root), &mut files);
    }
    let sources: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1));
    let named: BTreeSet<&str> = cells.flat_map(quoted).map(|text| text.rsplit("::").next().unwrap_or(text)).collect();
    // A sentence in snake case is a test; shorter names are files, modules and functions in an explanation.
    let tests: Vec<&&str> = named.iter().filter(|name| name.matches('_').count() > 3 && !is_file(name)).collect();
    assert!(tests.len() > 100, "{} tests are named", tests.len());
    let absent: Vec<_> = tests.iter().filter(|name| !sources.iter().any(|text| defines(text, name))).collect();
    assert!(absent.is_empty(), "not there: {absent:#?}");
}

/// Every page below a folder.
fn pages_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            pages_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

#[test]
fn every_sentence_in_snake_case_that_a_page_names_is_in_the_code() {
    let mut files = Vec::new();
    for root in ROOTS.into_iter().chain(["scripts"]) {
        files_below(&checkout().join(root), &mut files);
    }
    let sources: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect();
    let mut pages = Vec::new();
    pages_below(&checkout().join("docs"), &mut pages);
    let is_sentence = |text: &&str| {
        text.matches('_').count() > 3 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let mut absent = BTreeSet::new();
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for line in text.lines() {
            let names = quoted(line).into_iter().flat_map(|text| text.split([' ', ':', '/'])).filter(is_sentence);
            absent
                .extend(names.filter(|name| !sources.contains(name)).map(|name| format!("{}: {name}", page.display())));
        }
    }
    assert!(pages.len() > 40 && absent.is_empty(), "not there: {absent:#?}");
}

#[test]
fn what_is_not_defined_in_a_file_is_seen_to_be_missing() {
    let text = "pub(crate) fn decide() {}\nconst MAX: u8 = 1;\n  claim(row) {}\nlet x = claimed(1);\n";
    for (name, there) in [("decide", true), ("MAX", true), ("claim", true), ("claimed", false), ("deci", false)] {
        assert_eq!(defines(text, name), there, "{name}");
    }
}
